/** The MCP Inspector's command line against the notes server: over HTTP with the key, and over stdio. */
import { rmSync } from 'node:fs';
import { delimiter } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { execute, type NodeTool, prepareNodeTool } from '../node-tool.ts';
import {
  createFolder,
  type MooringProcess,
  repositoryRoot,
  startMooring,
  toStdioCommand,
} from './mooring-process.ts';

const runTimeoutMs = 50_000;
/** The first time on a machine, with a slow registry. */
const installTimeoutMs = 320_000;

let inspector: NodeTool;
let notes: MooringProcess;
const stdioFolder = createFolder();

beforeAll(async () => {
  [inspector, notes] = await Promise.all([
    prepareNodeTool({
      packageName: '@modelcontextprotocol/inspector',
      version: '2.12.0',
      script: 'clients/launcher/build/index.js',
    }),
    startMooring(),
  ]);
}, installTimeoutMs);
afterAll(async () => {
  await notes?.dispose();
  rmSync(stdioFolder, { recursive: true, force: true });
});

/** What the first run tells people to type, with another method. */
function overHttp(): string[] {
  return [notes.url, '--transport', 'http', '--header', `Authorization: Bearer ${notes.key}`];
}

function overStdio(): string[] {
  const { command, args, env } = toStdioCommand({ dataDir: stdioFolder });
  return [...Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`]), command, ...args];
}

async function inspect(
  server: readonly string[],
  method: readonly string[],
): Promise<Record<string, unknown>> {
  const { code, out, output } = await execute(
    [...inspector.command, '--cli', ...server, '--method', ...method],
    runTimeoutMs,
    {
      cwd: repositoryRoot,
      env: { ...process.env, PATH: `${inspector.nodeFolder}${delimiter}${process.env['PATH']}` },
    },
  );
  expect(code, output).toBe(0);
  return JSON.parse(out) as Record<string, unknown>;
}

describe.each([
  ['HTTP', overHttp],
  ['stdio', overStdio],
])('over %s', (_transport, toServer) => {
  const call = async (name: string, args: Record<string, string>): Promise<Record<string, unknown>> => {
    const toolArgs = Object.entries(args).flatMap(([key, value]) => ['--tool-arg', `${key}=${value}`]);
    const result = await inspect(toServer(), ['tools/call', '--tool-name', name, ...toolArgs]);
    return result['structuredContent'] as Record<string, unknown>;
  };

  test('lists the tools', async () => {
    const { tools } = await inspect(toServer(), ['tools/list']);
    expect((tools as { name: string }[]).map(({ name }) => name)).toContain('add_note');
  });

  test(
    'adds, finds and deletes a note',
    async () => {
      const { id } = await call('add_note', { title: 'From the Inspector', text: 'inspectorate' });
      expect(await call('search_notes', { query: 'inspectorate' })).toMatchObject({
        total: 1,
        notes: [{ id }],
      });
      expect(await call('delete_note', { id: String(id), confirm: 'true' })).toMatchObject({
        outcome: 'deleted',
      });
      expect(await call('search_notes', { query: 'inspectorate' })).toMatchObject({ total: 0 });
    },
    4 * runTimeoutMs,
  );
});
