/**
 * Every real client that people use, over both transports and through a balancer to three instances on Redis, against the
 * notes server as `mooring start` runs it, and against one whose calls take their time.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type RedisServer, startRedis } from '../redis-server.ts';
import { type Fleet, startFleet } from './fleet.ts';
import {
  createFolder,
  type MooringProcess,
  notesModule,
  startMooring,
  toStdioCommand,
  workbenchModule,
} from './mooring-process.ts';
import {
  type ClientKind,
  clientKinds,
  connectClient,
  type ServerAddress,
  type TestClient,
} from './test-client.ts';

const versions: Readonly<Record<ClientKind, string>> = {
  'SDK v2, modern': '2026-07-28',
  'SDK v2, legacy': '2025-11-25',
  'SDK v1': '2025-11-25',
};
const waitMs = { timeout: 10_000, interval: 20 };

const stdioFolders: string[] = [];
/** One server, alone and as a fleet. */
interface Served {
  readonly module: string;
  readonly alone: MooringProcess;
  readonly fleet: Fleet;
}

let redis: RedisServer;
let notes: Served;
let workbench: Served;

beforeAll(async () => {
  redis = await startRedis();
  const serve = async (module: string): Promise<Served> => ({
    module,
    alone: await startMooring({ module }),
    fleet: await startFleet({ module, redisUrl: redis.url, environment: { SSE_RETRY_MS: '50' } }),
  });
  [notes, workbench] = await Promise.all([serve(notesModule), serve(workbenchModule)]);
});

afterAll(async () => {
  for (const served of [notes, workbench]) await Promise.all([served?.alone.dispose(), served?.fleet.stop()]);
  await redis?.stop();
  for (const folder of stdioFolders) rmSync(folder, { recursive: true, force: true });
});

const ways = ['HTTP', 'stdio', 'a balancer'] as const;
type Way = (typeof ways)[number];

function toAddress(way: Way, { module, alone, fleet }: Served): ServerAddress {
  if (way === 'HTTP') return { kind: 'http', url: alone.url, key: alone.key };
  if (way === 'a balancer') return { kind: 'http', url: fleet.url, key: fleet.key };
  const dataDir = createFolder();
  stdioFolders.push(dataDir);
  return { kind: 'stdio', ...toStdioCommand({ dataDir, module }) };
}

const combinations = ways.flatMap((transport) => clientKinds.map((kind) => ({ kind, transport })));

describe.each(combinations)('$kind over $transport, the notes server', ({ kind, transport }) => {
  let client: TestClient;

  beforeAll(async () => {
    client = await connectClient(kind, toAddress(transport, notes));
  });
  beforeEach(() => {
    client.answer = 'accept';
    client.questions.length = 0;
    client.heard.length = 0;
  });
  afterAll(async () => {
    await client?.close();
  });

  const add = async (
    title: string,
    more: Record<string, unknown> = {},
  ): Promise<{ id: string; uri: string }> => {
    const { structured, isError, text } = await client.callTool('add_note', { title, ...more });
    expect(isError, text).toBe(false);
    return structured as { id: string; uri: string };
  };

  test('negotiates the revision it is meant to speak, and knows whom it speaks to', () => {
    expect(client.protocolVersion).toBe(versions[kind]);
    expect(client.serverName).toBe('notes');
  });

  test('adds, finds, reads, updates and deletes a note', async () => {
    const word = `w${randomUUID().replaceAll('-', '')}`;
    const { id } = await add('Shopping', { text: `Buy ${word}`, tags: ['home'] });

    const found = await client.callTool('search_notes', { query: word });
    expect(found.structured).toMatchObject({ total: 1, notes: [{ id, title: 'Shopping' }] });
    expect((await client.callTool('read_note', { id })).structured).toMatchObject({
      text: `Buy ${word}`,
      tags: ['home'],
      version: 1,
    });

    const updated = await client.callTool('update_note', { id, append: 'and tea', expectedVersion: 1 });
    expect(updated.structured).toMatchObject({ version: 2 });
    expect((await client.callTool('read_note', { id })).structured['text']).toBe(`Buy ${word}\nand tea`);

    const deleted = await client.callTool('delete_note', { id });
    expect(deleted.structured).toMatchObject({ id, outcome: 'deleted' });
    expect(client.questions).toEqual(['Delete the note "Shopping" for good?']);
    expect((await client.callTool('search_notes', { query: word })).structured).toMatchObject({ total: 0 });
    expect((await client.callTool('read_note', { id })).isError).toBe(true);
  });

  test('keeps a note whose deletion the user declines', async () => {
    const { id } = await add('Keep me');
    client.answer = 'decline';
    expect((await client.callTool('delete_note', { id })).structured).toMatchObject({ outcome: 'declined' });
    expect((await client.callTool('read_note', { id })).structured).toMatchObject({ title: 'Keep me' });
  });

  test('is told what is wrong with arguments, as a result that a model can read', async () => {
    const { isError, text } = await client.callTool('add_note', { title: 7 });
    expect(isError).toBe(true);
    expect(text).toContain('title');
  });

  test('lists, reads and completes notes as resources', async () => {
    const { id, uri } = await add('A resource', { text: 'its text' });
    expect(await client.listTemplates()).toEqual(['notes://{id}']);
    expect((await client.listResources()).items).toContain(uri);
    expect(await client.readResource(uri)).toBe('# A resource\n\nits text');
    await expect(client.readResource('notes://nowhere')).rejects.toThrow();
    const template = { type: 'ref/resource', uri: 'notes://{id}' } as const;
    expect(await client.complete(template, 'id', id.slice(0, -1))).toContain(id);
  });

  test('gets a prompt with the notes in it, and completions for its arguments', async () => {
    const tag = `t${randomUUID()}`.slice(0, 20);
    await add('For the prompt', { text: 'remember the milk', tags: [tag] });
    expect(await client.getPrompt('summarize_notes', { tag, style: 'brief' })).toContain('remember the milk');
    const prompt = { type: 'ref/prompt', name: 'summarize_notes' } as const;
    expect(await client.complete(prompt, 'tag', tag.slice(0, 10))).toEqual([tag]);
    expect(await client.complete(prompt, 'style', 'b')).toEqual(['brief', 'bullets']);
  });

  test('hears of a change of a note that it watches, and of the list, whoever made it', async () => {
    const { id, uri } = await add('Watched');
    const { id: other, uri: otherUri } = await add('Not watched');
    await client.watch(uri);
    // Over stdio a process has one client, so the change is its own.
    const writer = transport === 'stdio' ? client : await connectClient(kind, toAddress(transport, notes));
    try {
      // The stream of a session opens beside the first answers; what happens before that is not told.
      await vi.waitFor(async () => {
        await writer.callTool('update_note', { id: other, append: 'x' });
        await writer.callTool('update_note', { id, append: 'x' });
        expect(client.heard).toContain(uri);
        expect(client.heard).toContain('resources');
      }, waitMs);
      expect(client.heard).not.toContain(otherUri);
    } finally {
      if (writer !== client) await writer.close();
    }
  });

  if (versions[kind] === '2025-11-25') {
    test('is answered when it pings', async () => {
      expect(await client.ping()).toEqual({});
    });
  }
});

describe.each(combinations)('$kind over $transport, calls that take their time', ({ kind, transport }) => {
  let client: TestClient;
  let folder = '';

  beforeAll(async () => {
    folder = createFolder();
    stdioFolders.push(folder);
    client = await connectClient(kind, toAddress(transport, workbench));
  });
  afterAll(async () => {
    await client?.close();
  });

  test('hears progress while a call runs, in order', async () => {
    const gate = join(folder, randomUUID());
    const steps: number[] = [];
    // The clients drop progress that they read in one piece with the result, so all of it comes before the gate.
    const args = { to: 4, before: 4, gate };
    const call = client.callTool('count', args, { onProgress: (step) => steps.push(step) });
    await vi.waitFor(() => expect(steps).toEqual([1, 2, 3, 4]), waitMs);
    writeFileSync(gate, '');
    expect((await call).text).toBe('counted to 4');
  });

  test('cancels a call: its handler is told to stop', async () => {
    const gate = join(folder, randomUUID());
    const abort = new AbortController();
    const steps: number[] = [];
    const options = { onProgress: (step: number) => steps.push(step), signal: abort.signal };
    const call = client.callTool('count', { to: 2, before: 1, gate }, options);
    const failed = expect(call).rejects.toThrow();
    await vi.waitFor(() => expect(steps).toEqual([1]), waitMs);
    abort.abort(new Error('changed my mind'));
    await failed;
    await vi.waitFor(() => expect(existsSync(`${gate}.aborted`)).toBe(true), waitMs);
    expect((await client.callTool('spare_0')).text).toBe('spare');
  });

  test('visits a page, lends its model and names its roots when it is asked to', async () => {
    client.questions.length = 0;
    expect((await client.callTool('consult')).text).toBe('accept hi file:///work');
    expect(client.questions).toEqual(['Please look']);
  });

  test('gets log messages from the level on that it asked for', async () => {
    await client.setLogLevel('error');
    await client.callTool('say');
    await vi.waitFor(() => expect(client.logged).toEqual(['said at error']), waitMs);
    await client.setLogLevel('debug');
    await client.callTool('say');
    await vi.waitFor(
      () => expect(client.logged.slice(1)).toEqual(['said at debug', 'said at info', 'said at error']),
      waitMs,
    );
  });

  test('walks the pages of a list', async () => {
    const names = new Set<string>();
    let cursor: string | undefined;
    do {
      const page = await client.listTools(cursor);
      for (const name of page.items) names.add(name);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect([...names].toSorted()).toEqual([
      'add_to',
      'ask',
      'change',
      'consult',
      'count',
      'say',
      'spare_0',
      'spare_1',
      'spare_2',
      'spare_3',
      'spare_4',
      'where',
    ]);
  });
});

test('notes are listed a page at a time, each once, while others are being written', async () => {
  const client = await connectClient('SDK v2, legacy', toAddress('HTTP', notes));
  try {
    await Promise.all(
      Array.from({ length: 105 }, (_, index) =>
        client.callTool('add_note', { title: `Page filler ${index}` }),
      ),
    );
    const seen: string[] = [];
    let cursor: unknown;
    let pages = 0;
    do {
      const { structured } = await client.callTool('list_notes', {
        limit: 40,
        ...(cursor ? { cursor } : {}),
      });
      seen.push(...(structured['notes'] as { id: string }[]).map(({ id }) => id));
      cursor = structured['nextCursor'];
      pages += 1;
      await client.callTool('add_note', { title: 'Written meanwhile' });
    } while (cursor !== undefined);
    expect(pages).toBeGreaterThanOrEqual(3);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBeGreaterThanOrEqual(105);
  } finally {
    await client.close();
  }
});
