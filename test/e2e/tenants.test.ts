/** Two tenants of one server: whatever one asks for, by whatever means, nothing of the other is in the answer. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type MooringProcess, runMooring, startMooring } from './mooring-process.ts';
import { clientKinds, connectClient, type TestClient } from './test-client.ts';

const waitMs = { timeout: 10_000, interval: 20 };
const secret = 'xylophone';

let notes: MooringProcess;
let otherKey = '';

beforeAll(async () => {
  notes = await startMooring();
  const run = async (...args: string[]): Promise<Record<string, string>> => {
    const { out } = await runMooring([...args, '--json'], { DATA_DIR: notes.dataDir });
    return JSON.parse(out) as Record<string, string>;
  };
  await run('tenants', 'create', '--name', 'other');
  otherKey = (await run('keys', 'create', '--name', 'theirs', '--tenant', 'other'))['key'] ?? '';
});
afterAll(async () => {
  await notes.dispose();
});

describe.each(clientKinds)('%s', (kind) => {
  let mine: TestClient;
  let theirs: TestClient;
  let id = '';
  let uri = '';

  beforeAll(async () => {
    [mine, theirs] = await Promise.all([
      connectClient(kind, { kind: 'http', url: notes.url, key: notes.key }),
      connectClient(kind, { kind: 'http', url: notes.url, key: otherKey }),
    ]);
    const { structured } = await mine.callTool('add_note', {
      title: `About the ${secret}`,
      text: `Hidden ${secret}`,
      tags: [secret],
    });
    id = String(structured['id']);
    uri = String(structured['uri']);
  });
  afterAll(async () => {
    await Promise.all([mine.close(), theirs.close()]);
  });

  test('does not find, read, change or delete a note of the other through tools', async () => {
    for (const [name, args] of [
      ['search_notes', { query: secret }],
      ['list_notes', {}],
      ['list_notes', { tag: secret }],
      ['list_tags', {}],
      ['read_note', { id }],
      ['update_note', { id, text: 'taken over' }],
      ['delete_note', { id, confirm: true }],
      ['delete_note', { id }],
    ] as const) {
      const { text } = await theirs.callTool(name, args);
      expect(text.includes(secret), `${name}: ${text}`).toBe(false);
    }
    expect(theirs.questions).toEqual([]);
    expect((await mine.callTool('read_note', { id })).structured).toMatchObject({
      text: `Hidden ${secret}`,
      version: 1,
    });
  });

  test('is told the same of a note of the other as of one that never was', async () => {
    const never = id.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
    const answer = async (noteId: string): Promise<string> =>
      (await theirs.callTool('read_note', { id: noteId })).text.replaceAll(noteId, 'ID');
    expect(await answer(id)).toBe(await answer(never));
  });

  test('does not see it among resources, prompts or completions', async () => {
    expect((await theirs.listResources()).items).not.toContain(uri);
    expect((await mine.listResources()).items).toContain(uri);
    await expect(theirs.readResource(uri)).rejects.toThrow();
    expect(await theirs.getPrompt('summarize_notes', { tag: secret })).not.toContain('Hidden');
    expect(await theirs.getPrompt('summarize_notes', {})).not.toContain(secret);
    const prompt = { type: 'ref/prompt', name: 'summarize_notes' } as const;
    expect(await theirs.complete(prompt, 'tag', secret.slice(0, 3))).toEqual([]);
    expect(await mine.complete(prompt, 'tag', secret.slice(0, 3))).toEqual([secret]);
    const template = { type: 'ref/resource', uri: 'notes://{id}' } as const;
    // Ids begin with the time, so the beginning of one fits theirs of the same moment.
    expect(await theirs.complete(template, 'id', id.slice(0, 6))).not.toContain(id);
    expect(await theirs.complete(template, 'id', id)).toEqual([]);
  });

  test('hears nothing of its changes, though it watches the very note', async () => {
    await Promise.all([mine.watch(uri), theirs.watch(uri)]);
    theirs.heard.length = 0;
    await vi.waitFor(async () => {
      await mine.callTool('update_note', { id, append: 'more' });
      expect(mine.heard).toContain(uri);
    }, waitMs);
    // Their own change is told to them after whatever they might have been told before it.
    await vi.waitFor(async () => {
      await theirs.callTool('add_note', { title: 'Of their own' });
      expect(theirs.heard).toContain('resources');
    }, waitMs);
    expect(theirs.heard).not.toContain(uri);
    expect(mine.heard.length).toBeGreaterThan(0);
  });
});

test('a client hears of the changed list of its own tenant only', async () => {
  const kind = 'SDK v2, modern';
  const [mine, theirs] = await Promise.all([
    connectClient(kind, { kind: 'http', url: notes.url, key: notes.key }),
    connectClient(kind, { kind: 'http', url: notes.url, key: otherKey }),
  ]);
  try {
    await Promise.all([mine.watch('notes://none'), theirs.watch('notes://none')]);
    for (let count = 0; count < 3; count += 1) await mine.callTool('add_note', { title: 'Mine' });
    await vi.waitFor(() => expect(mine.heard).toHaveLength(3), waitMs);
    await theirs.callTool('add_note', { title: 'Theirs' });
    await vi.waitFor(() => expect(theirs.heard).toHaveLength(1), waitMs);
    expect(mine.heard).toHaveLength(3);
  } finally {
    await Promise.all([mine.close(), theirs.close()]);
  }
});
