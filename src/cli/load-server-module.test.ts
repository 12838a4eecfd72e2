import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CommandFailure } from './command-failure.ts';
import { loadServerModule } from './load-server-module.ts';

const definition = "{ kind: 'mooring.server-definition', input: { name: 'sample', version: '1' } }";
const sdkServer =
  '{ connect() {}, close() { globalThis.closed = (globalThis.closed ?? 0) + 1; }, server: { connect() {}, close() {}, setRequestHandler() {}, getCapabilities() {} } }';
let workingDir = '';
let fileCount = 0;

beforeAll(() => {
  workingDir = mkdtempSync(join(tmpdir(), 'mooring-module-'));
});

afterAll(() => {
  rmSync(workingDir, { recursive: true });
});

function load(source: string): ReturnType<typeof loadServerModule> {
  fileCount += 1;
  const name = `module-${fileCount}.mjs`;
  writeFileSync(join(workingDir, name), source);
  return loadServerModule(name, { workingDir, dataDir: '/data' });
}

async function failureOf(loading: Promise<unknown>): Promise<string> {
  const error = await loading.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CommandFailure);
  return (error as CommandFailure).message;
}

describe('a module is hosted that exports', () => {
  it.each([
    ['a definition as its default', `export default ${definition}`],
    ['a definition as `server`', `export const server = ${definition}`],
    ['one definition under any name', `export const other = 1; export const notes = ${definition}`],
    ['a function that returns one', `export default () => (${definition})`],
    ['an async function that returns one', `export async function server() { return ${definition}; }`],
  ])('%s', async (_what, source) => {
    expect(await load(source)).toMatchObject({ kind: 'definition', name: 'sample' });
  });

  it('a function, which is told where its data goes', async () => {
    const { server } = await load(`export default ({ dataDir }) => ({ ...${definition}, dataDir })`);
    expect(server).toMatchObject({ dataDir: '/data' });
  });

  it('a factory of the official SDK: what the trial call made is closed, and the factory is kept', async () => {
    const hosted = await load(`export default () => (${sdkServer})`);
    expect(hosted).toMatchObject({
      kind: 'sdk',
      name: expect.stringMatching(/^module-/),
      server: expect.any(Function),
    });
    expect((globalThis as { closed?: number }).closed).toBe(1);
  });

  it('a server from the main file of its folder', async () => {
    const folder = join(workingDir, 'folder');
    mkdirSync(folder);
    writeFileSync(join(folder, 'package.json'), '{ "type": "module", "main": "./index.js" }');
    writeFileSync(join(folder, 'index.js'), `export const server = ${definition}`);
    expect(await loadServerModule('folder', { workingDir, dataDir: '/data' })).toMatchObject({
      name: 'sample',
    });
  });
});

describe('what cannot be hosted is told in one sentence', () => {
  it.each([
    [
      'an export of another kind',
      'export const tools = []; export function run() {}',
      'exports `tools` (an object), `run` (a function)',
    ],
    ['nothing', '', 'exports nothing'],
    ['two definitions', `export const a = ${definition}; export const b = ${definition}`, 'exports `a`'],
    ['a server instead of its factory', `export default ${sdkServer}`, 'not a function that makes one'],
    ['a function of something else', 'export default () => 7', 'returned a number'],
    [
      'a function that throws',
      'export default () => { throw new Error("no database") }',
      'failed: no database',
    ],
    ['a module that throws', 'throw new Error("no luck")', 'cannot be loaded: no luck'],
  ])('%s', async (_what, source, expected) => {
    expect(await failureOf(load(source))).toContain(expected);
  });

  it('a path that leads nowhere, and folders that do not say what to run', async () => {
    const options = { workingDir, dataDir: '/data' };
    expect(await failureOf(loadServerModule('absent.js', options))).toBe(
      'There is no file or folder absent.js.',
    );
    mkdirSync(join(workingDir, 'plain'));
    expect(await failureOf(loadServerModule('plain', options))).toContain('no package.json');
    const manifest = join(workingDir, 'plain', 'package.json');
    for (const [text, expected] of [
      ['{', 'not JSON'],
      ['{}', '"main"'],
      ['{ "main": "dist/x.js" }', 'build it first'],
    ] as const) {
      writeFileSync(manifest, text);
      expect(await failureOf(loadServerModule('plain', options))).toContain(expected);
    }
  });
});
