import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publint } from 'publint';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
let project = '';
let installed = '';

// What users get: the packed tarball, in a project of its own, beside the dependencies that it declares.
beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'mooring-package-'));
  const packed = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [{ filename }] = JSON.parse(packed) as [{ readonly filename: string }];
  installed = join(project, 'node_modules/mooring');
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', join(project, filename), '-C', installed, '--strip-components=1']);
  const { dependencies, peerDependencies } = readManifest();
  for (const name of Object.keys({ ...dependencies, ...peerDependencies })) link(name);
});

afterAll(() => {
  rmSync(project, { recursive: true, force: true });
});

test('every subpath that the package promises can be imported', () => {
  const subpaths = Object.keys(readManifest().exports).filter((path) => path !== './package.json');
  expect(subpaths.length).toBeGreaterThan(1);
  for (const subpath of subpaths) {
    const specifier = `mooring${subpath.slice(1)}`;
    const names = execFileSync(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `console.log(Object.keys(await import(${JSON.stringify(specifier)})).length)`,
      ],
      { cwd: project, encoding: 'utf8' },
    );
    expect(Number(names), specifier).toBeGreaterThan(0);
  }
});

test('the command line runs from the package', () => {
  const main = join(installed, readManifest().bin.mooring);
  const printed = execFileSync(process.execPath, [main, '--version'], { cwd: project, encoding: 'utf8' });
  expect(printed.trim()).toBe(readManifest().version);
});

test('the types compile in a strict project without the official SDK installed', () => {
  rmSync(join(project, 'node_modules/@modelcontextprotocol/server'), { force: true });
  writeFileSync(
    join(project, 'server.ts'),
    `import { createHost, defineServer, defineTool } from 'mooring';
import { z } from 'zod';
const add = defineTool({
  name: 'add',
  input: z.object({ a: z.number(), b: z.number() }),
  output: z.object({ sum: z.number() }),
  handler: ({ a, b }) => ({ sum: a + b }),
});
// @ts-expect-error a handler's arguments have the type of its schema
defineTool({ name: 'wrong', input: z.object({ a: z.number() }), handler: ({ a }) => a.length });
export const server = defineServer({ name: 'adder', version: '1.0.0', tools: [add] });
export const host = createHost({ server });
`,
  );
  link('@types/node');
  link('typescript');
  try {
    const options = [
      '--strict',
      '--noEmit',
      '--module',
      'nodenext',
      '--target',
      'es2023',
      '--types',
      'node',
      '--skipLibCheck',
    ];
    execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...options, 'server.ts'], {
      cwd: project,
      encoding: 'utf8',
      stdio: 'pipe',
    });
  } finally {
    link('@modelcontextprotocol/server');
  }
});

test('the package holds no tests and nothing that publint objects to', async () => {
  const files = readdirSync(installed, { recursive: true, encoding: 'utf8' });
  expect(files.filter((path) => /\.(test|contract)\.|tsbuildinfo/.test(path))).toEqual([]);
  expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', join('dist', 'index.d.ts')]));
  const { messages } = await publint({ pkgDir: installed, strict: true, pack: false });
  expect(messages).toEqual([]);
});

interface Manifest {
  readonly version: string;
  readonly bin: { readonly mooring: string };
  readonly exports: Readonly<Record<string, unknown>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

function readManifest(): Manifest {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
}

function link(name: string): void {
  const path = join(project, 'node_modules', name);
  mkdirSync(join(path, '..'), { recursive: true });
  rmSync(path, { force: true });
  symlinkSync(join(root, 'node_modules', name), path);
}
