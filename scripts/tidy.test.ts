import { describe, expect, it } from 'vitest';
import { documentPaths, forbiddenWords } from './tidy/documents.ts';
import { undocumentedEvents } from './tidy/events.ts';
import { undocumentedExports, wholesaleExports } from './tidy/exports.ts';
import { importCycles } from './tidy/import-cycles.ts';
import { importDirection } from './tidy/import-direction.ts';
import type { Rule } from './tidy/repository.ts';
import { secondDoors } from './tidy/second-doors.ts';
import { wholeLock } from './tidy/whole-lock.ts';
import { listFileSizes, listFunctionSizes } from './tidy/sizes.ts';

type Files = Readonly<Record<string, string>>;

function findings(rule: Rule, files: Files): readonly string[] {
  return rule.check(new Map(Object.entries(files))).map(({ at }) => at);
}

const outside = ['..', 'shared'].join('/');

const samples: readonly { rule: Rule; clean: Files; broken: Files; at: string }[] = [
  {
    rule: importDirection,
    clean: {
      'src/http/routes.ts': "import { a } from '../mcp/engine.ts';",
      'src/mcp/engine.ts': "import type { B } from '../auth/key.ts';\nimport { c } from '../errors.ts';",
      'src/mcp/engine.test.ts': "import { d } from '../http/routes.ts';",
    },
    broken: { 'src/mcp/engine.ts': "// a comment\nimport { a } from '../http/routes.ts';" },
    at: 'src/mcp/engine.ts:2',
  },
  {
    rule: importDirection,
    clean: { 'src/mcp/engine.ts': "import { toPrincipalKey } from '../auth/principal.ts';" },
    broken: { 'src/mcp/engine.ts': "import { check } from '../auth/key.ts';" },
    at: 'src/mcp/engine.ts:1',
  },
  {
    rule: importDirection,
    clean: { 'src/mcp/a.ts': "const text = `import('../http/b.ts')`;".replace('import', 'imported') },
    broken: { 'src/mcp/a.ts': "const late = await import('../http/b.ts');" },
    at: 'src/mcp/a.ts:1',
  },
  {
    rule: importDirection,
    clean: { 'src/host.ts': '' },
    broken: { 'src/utils/a.ts': '' },
    at: 'src/utils/a.ts',
  },
  {
    rule: undocumentedEvents,
    clean: {
      'docs/operations/running.md': '`a.failed`, `b.late`',
      'src/host.ts': "logger.error('a.failed', {});\nthis.#logger.warn(\n  'b.late',\n);\nbus.error('c.d');",
    },
    broken: { 'docs/operations/running.md': '', 'src/host.ts': "\nlogger.error(\n  'a.failed',\n);" },
    at: 'src/host.ts:2',
  },
  {
    rule: importCycles,
    clean: {
      'src/mcp/a.ts': "import { b } from './b.ts';",
      'src/mcp/b.ts': "import type { A } from './a.ts';\nimport { type A2 } from './a.ts';",
    },
    broken: { 'src/mcp/a.ts': "import { b } from './b.ts';", 'src/mcp/b.ts': "export { a } from './a.ts';" },
    at: 'src/mcp/a.ts',
  },
  {
    rule: secondDoors,
    clean: {
      'src/config/env.ts': 'export const a = process.env;',
      'src/mcp/a.ts':
        "// process.env\nconst text = 'console.log process.env';\nconst pattern = /process.env/;",
      'src/http/node-server.ts': "import { createServer } from 'node:http';",
      'src/http/routes.ts': "import type { IncomingMessage } from 'node:http';",
    },
    broken: { 'src/mcp/a.ts': 'const a = 1;\nconst b = process.env.PORT;' },
    at: 'src/mcp/a.ts:2',
  },
  ...[
    'process.exit(1);',
    "process.on('SIGTERM', stop);",
    'console.log(1);',
    "import { createServer } from 'node:http';",
    "import pg from 'pg';",
    "import { Redis } from 'ioredis';",
    "import { pino } from 'pino';",
    "import { Command } from 'commander';",
    "import { McpServer } from '@modelcontextprotocol/server';",
  ].map((code) => ({ rule: secondDoors, clean: {}, broken: { 'src/mcp/a.ts': code }, at: 'src/mcp/a.ts:1' })),
  {
    rule: undocumentedExports,
    clean: {
      'src/mcp/a.ts':
        '/** A. */\nexport const a = 1;\n/** B. */\nexport function b(): void;\nexport function b(c?: 1): void {}\nconst d = 1;',
      'src/mcp/types.ts':
        '/** Names of the specification. */\nimport type * as core from "core";\nexport type A = core.A;',
      'src/mcp/a.test.ts': 'export const a = 1;',
      'src/index.ts': "export { a } from './mcp/a.ts';",
    },
    broken: { 'src/mcp/a.ts': '/** A. */\nexport const a = 1;\nexport class B {}' },
    at: 'src/mcp/a.ts:3',
  },
  {
    rule: wholesaleExports,
    clean: { 'src/index.ts': "export { a } from './a.ts';\n// export * from" },
    broken: { 'src/index.ts': "export * from './a.ts';" },
    at: 'src/index.ts:1',
  },
  {
    rule: documentPaths,
    clean: {
      'README.md': '`src/mcp/a.ts`, [b](docs/b.md#part), [c](https://c.example/x), `src/mcp/`, `src/*.ts`',
      'docs/b.md': '[up](../README.md)',
      'servers/notes/README.md': '`src/c.ts`',
      'servers/notes/src/c.ts': '',
      'src/mcp/a.ts': '',
    },
    broken: { 'README.md': 'See\n`src/gone.ts`.' },
    at: 'README.md:2',
  },
  {
    rule: documentPaths,
    clean: {},
    broken: { 'docs/a.md': '[gone](b.md)' },
    at: 'docs/a.md:1',
  },
  {
    rule: forbiddenWords,
    clean: { 'a.md': 'a registry of names, ./shared, network/works' },
    broken: { 'a.json': `"${['https://registry', 'example.org'].join('.')}"` },
    at: 'a.json:1',
  },
  {
    rule: wholeLock,
    clean: {
      'package-lock.json':
        '{"packages":{"node_modules/a":{"optionalDependencies":{"a-x64":"1"}},"node_modules/a-x64":{}}}',
    },
    broken: { 'package-lock.json': '{"packages":{"node_modules/a":{"optionalDependencies":{"a-x64":"1"}}}}' },
    at: 'package-lock.json',
  },
  { rule: forbiddenWords, clean: {}, broken: { 'a.md': `see ${outside}/x` }, at: 'a.md:1' },
];

describe.each(samples.map((sample) => [sample.rule.name, sample] as const))(
  '%s',
  (_name, { rule, clean, broken, at }) => {
    it('lets the clean sample pass', () => {
      expect(findings(rule, clean)).toEqual([]);
    });

    it(`finds the breach in ${JSON.stringify(Object.values(broken)[0])}`, () => {
      expect(findings(rule, broken)).toEqual([at]);
    });
  },
);

describe('sizes', () => {
  const text = `/** A docstring. */
export function outer(): void {
  // A comment.

  const inner = () => {
    return '}';
  };
}
`;

  it('count lines of code, not blanks and comments', () => {
    expect(listFileSizes(new Map([['src/mcp/a.ts', text]]))).toEqual([{ name: 'src/mcp/a.ts', lines: 5 }]);
  });

  it('find where functions end', () => {
    expect(listFunctionSizes(new Map([['src/mcp/a.ts', text]]))).toEqual([
      { name: 'src/mcp/a.ts:2', lines: 5 },
      { name: 'src/mcp/a.ts:5', lines: 3 },
    ]);
  });
});
