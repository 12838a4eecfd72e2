import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { runMooring, startMooring } from './mooring-process.ts';

/** An example of a document: a whole module, named by the comment in its first line. */
interface Example {
  readonly document: string;
  readonly name: string;
  readonly source: string;
}

const root = join(import.meta.dirname, '../..');
const examples = listDocuments().flatMap(readExamples);
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mooring-documents-'));
  // A reader's project has the package installed.
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  for (const { name, source } of examples) writeFileSync(join(folder, name), source);
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('every example of the documents that is a module', () => {
  test('is found', () => {
    expect(examples.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'server.mjs',
        'tools.mjs',
        'asking.mjs',
        'handles.mjs',
        'library.mjs',
        'embedded.mjs',
        'greeter.mjs',
        'nightly.mjs',
      ]),
    );
  });

  test.each(examples.filter(({ name }) => !['embedded.mjs', 'nightly.mjs'].includes(name)))(
    '$document: $name is served',
    async ({ name }) => {
      await withClient(name, async (client) => {
        const tools =
          client.getServerCapabilities()?.tools === undefined ? [] : (await client.listTools()).tools;
        const prompts =
          client.getServerCapabilities()?.prompts === undefined ? [] : (await client.listPrompts()).prompts;
        expect(tools.length + prompts.length).toBeGreaterThan(0);
      });
    },
  );
});

test('server.mjs greets', async () => {
  expect(await callText('server.mjs', 'greet', { name: 'Ada' })).toBe('Hello, Ada!');
});

test('tools.mjs divides, tells the model what was wrong, and takes plain JSON Schema', async () => {
  await withClient('tools.mjs', async (client) => {
    const divided = await client.callTool({ name: 'divide', arguments: { dividend: 6, divisor: 3 } });
    expect(divided.structuredContent).toEqual({ quotient: 2 });
    const refused = await client.callTool({ name: 'divide', arguments: { dividend: 6, divisor: 0 } });
    expect(refused).toMatchObject({ isError: true, content: [{ text: 'divisor must not be 0' }] });
    const shouted = await client.callTool({ name: 'shout', arguments: { text: 'ahoy' } });
    expect(shouted.content).toEqual([{ type: 'text', text: 'AHOY' }]);
  });
});

test.each(['auto', undefined] as const)(
  'asking.mjs asks once and orders once (negotiation: %s)',
  async (mode) => {
    let asked = 0;
    await withClient(
      'asking.mjs',
      async (client) => {
        client.setRequestHandler('elicitation/create', () => {
          asked += 1;
          return { action: 'accept', content: { count: 3 } };
        });
        const result = await client.callTool({ name: 'order', arguments: { item: 'anchors' } });
        expect(result.content).toEqual([{ type: 'text', text: 'order-1: 3 anchors' }]);
        expect(asked).toBe(1);
      },
      mode,
    );
  },
);

test('handles.mjs counts on, and refuses a handle that was altered', async () => {
  await withClient('handles.mjs', async (client) => {
    const first = textOf(await client.callTool({ name: 'start_count', arguments: {} }));
    const second = textOf(await client.callTool({ name: 'count_on', arguments: { handle: first } }));
    expect(second).not.toBe(first);
    const altered = await client.callTool({ name: 'count_on', arguments: { handle: `${second}x` } });
    expect(altered.isError).toBe(true);
  });
});

test('library.mjs lists, reads and completes', async () => {
  await withClient('library.mjs', async (client) => {
    const { resources } = await client.listResources();
    expect(resources.map(({ uri }) => uri)).toEqual([
      'books://about',
      'books://book/emma',
      'books://book/ulysses',
    ]);
    const { contents } = await client.readResource({ uri: 'books://book/emma' });
    expect(contents).toMatchObject([{ text: 'A novel of 1815.', mimeType: 'text/plain' }]);
    const ref = { type: 'ref/prompt', name: 'review' } as const;
    const { completion } = await client.complete({ ref, argument: { name: 'name', value: 'ul' } });
    expect(completion.values).toEqual(['ulysses']);
  });
});

test('embedded.mjs answers web requests', async () => {
  process.env['DATA_DIR'] = join(folder, 'data');
  try {
    const module = (await import(pathToFileURL(join(folder, 'embedded.mjs')).href)) as {
      createHandler(): Promise<(request: Request) => Promise<Response>>;
    };
    const handler = await module.createHandler();
    expect((await handler(new Request('http://localhost:8080/health'))).status).toBe(200);
    expect((await handler(new Request('http://localhost:8080/mcp', { method: 'POST' }))).status).toBe(401);
  } finally {
    delete process.env['DATA_DIR'];
  }
});

test('nightly.mjs gets in with a key of its own', async () => {
  const host = await startMooring({ environment: { AUTH: 'oauth' } });
  try {
    const create = ['clients', 'create', 'nightly', '--scope', 'notes:read', '--json'];
    const made = await runMooring(create, { DATA_DIR: host.dataDir });
    const file = join(folder, 'nightly.json');
    writeFileSync(file, made.out);
    const env = { ...process.env, MCP_URL: host.url, CLIENT_FILE: file };
    const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'nightly.mjs')], { env });
    expect(stdout.trim().split(' ')).toContain('list_notes');
  } finally {
    await host.dispose();
  }
});

function listDocuments(): readonly string[] {
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' });
  return ['README.md', ...docs.filter((path) => path.endsWith('.md')).map((path) => join('docs', path))];
}

function readExamples(document: string): readonly Example[] {
  const text = readFileSync(join(root, document), 'utf8');
  return [...text.matchAll(/```ts\n\/\/ (\S+\.mjs)\n([\s\S]*?)```/g)].map(([, name = '', source = '']) => ({
    document: relative(root, join(root, document)),
    name,
    source,
  }));
}

async function callText(
  name: string,
  tool: string,
  input: Record<string, unknown>,
): Promise<string | undefined> {
  let text: string | undefined;
  await withClient(name, async (client) => {
    text = textOf(await client.callTool({ name: tool, arguments: input }));
  });
  return text;
}

function textOf(result: {
  readonly content: readonly { readonly type: string; readonly text?: string }[];
}): string {
  return result.content[0]?.text ?? '';
}

async function withClient(
  name: string,
  use: (client: Client) => Promise<void>,
  mode?: 'auto',
): Promise<void> {
  const client = new Client(
    { name: 'reader', version: '1' },
    { capabilities: { elicitation: {} }, ...(mode === undefined ? {} : { versionNegotiation: { mode } }) },
  );
  const main = join(root, 'dist/cli/main.js');
  const args = [main, 'start', join(folder, name), '--stdio'];
  const transport = new StdioClientTransport({
    command: process.execPath,
    args,
    cwd: folder,
    stderr: 'pipe',
  });
  await client.connect(transport);
  try {
    await use(client);
  } finally {
    await client.close();
  }
}
