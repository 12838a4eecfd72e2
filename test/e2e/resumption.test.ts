/**
 * Connections are cut all the time: by proxies, by lids that close, by trains in tunnels. Whoever comes back with the
 * id of the last event it saw finds the rest: every event once, in order.
 */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createFolder, type MooringProcess, startMooring, workbenchModule } from './mooring-process.ts';
import {
  callModern,
  collectEvents,
  getStream,
  initialize,
  isEventStream,
  postLegacy,
  toMessages,
  type WireEvent,
  type WireMessage,
} from './wire.ts';
import { connect, toCount, toSteps } from './workbench.ts';

const waitMs = { timeout: 10_000, interval: 20 };
const folder = createFolder();

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('the connection of a call is cut', () => {
  let server: MooringProcess;

  beforeAll(async () => {
    server = await startMooring({ module: workbenchModule, environment: { SSE_RETRY_MS: '50' } });
  });
  afterAll(async () => {
    await server.dispose();
  });

  test('while a call streams: the rest is found with Last-Event-ID, every event once, in order', async () => {
    const session = await initialize(server);
    const call = toCount(folder, 20, 7);
    const cut = new AbortController();
    const reply = await postLegacy(
      server,
      session,
      { id: 1, method: 'tools/call', params: call.args },
      cut.signal,
    );
    const first = collectEvents(reply);
    await vi.waitFor(() => expect(toSteps(first.events)).toHaveLength(7), waitMs);
    cut.abort();
    expect(await first.ended).toBe('cut');
    call.open();

    const lastEventId = first.events.at(-1)?.id ?? '';
    const second = collectEvents(await getStream(server, session, { lastEventId }));
    expect(await second.ended).toBe('closed');
    const all = [...first.events, ...second.events];
    expect(toSteps(all)).toEqual([...Array.from({ length: 20 }, (_, index) => index + 1), 'result']);
    const ids = toMessages(all).map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);

    // From further back, the same events under the same ids.
    const again = collectEvents(
      await getStream(server, session, { lastEventId: first.events.at(3)?.id ?? '' }),
    );
    expect(await again.ended).toBe('closed');
    expect(toMessages(again.events).map(({ id }) => id)).toEqual(ids.slice(3));
  });

  test('again and again, once after every event', async () => {
    const session = await initialize(server);
    const call = toCount(folder, 6, 6);
    const cut = new AbortController();
    const reply = await postLegacy(
      server,
      session,
      { id: 1, method: 'tools/call', params: call.args },
      cut.signal,
    );
    const events: WireEvent[] = [];
    const collected = collectEvents(reply);
    await vi.waitFor(() => expect(toSteps(collected.events)).toHaveLength(6), waitMs);
    cut.abort();
    const [primer] = collected.events;
    call.open();
    let lastEventId = primer?.id ?? '';
    for (;;) {
      const one = new AbortController();
      const resumed = collectEvents(await getStream(server, session, { lastEventId, signal: one.signal }));
      await vi.waitFor(() => expect(toMessages(resumed.events).length).toBeGreaterThan(0), waitMs);
      one.abort();
      const [next] = toMessages(resumed.events);
      if (next === undefined) throw new Error('no event');
      events.push(next);
      if (toSteps([next])[0] === 'result') break;
      lastEventId = next.id ?? '';
    }
    expect(toSteps(events)).toEqual([1, 2, 3, 4, 5, 6, 'result']);
  });

  test('is noticed by nobody who uses the SDK client: it resumes by itself', async () => {
    const cuts: AbortController[] = [];
    const client = await connect(server, 'legacy', cuts);
    const call = toCount(folder, 12, 5);
    const steps: number[] = [];
    const result = client.callTool(
      { name: 'count', arguments: call.args['arguments'] as Record<string, unknown> },
      { onprogress: ({ progress }) => steps.push(progress), timeout: 20_000 },
    );
    await vi.waitFor(() => expect(steps).toHaveLength(5), waitMs);
    for (const cut of cuts.splice(0)) cut.abort();
    call.open();
    expect((await result).content).toEqual([{ type: 'text', text: 'counted to 12' }]);
    expect(steps.slice(0, 5)).toEqual([1, 2, 3, 4, 5]);
    expect(steps).toEqual(steps.toSorted((one, other) => one - other));
    expect(new Set(steps).size).toBe(steps.length);
    await client.close();
  });

  test('of another session is not resumed: its events are its own', async () => {
    const [mine, other] = [await initialize(server), await initialize(server)];
    const call = toCount(folder, 2, 2);
    call.open();
    const events = collectEvents(
      await postLegacy(server, mine, { id: 1, method: 'tools/call', params: call.args }),
    );
    await events.ended;
    const resumed = await getStream(server, other, { lastEventId: events.events.at(0)?.id ?? '' });
    if (isEventStream(resumed)) {
      const found = collectEvents(resumed);
      expect(await found.ended).toBe('closed');
      expect(found.events).toEqual([]);
    } else expect(resumed.status).toBeGreaterThanOrEqual(400);
  });
});

describe('the stream of a session is cut', () => {
  let notes: MooringProcess;
  const uris: string[] = [];

  beforeAll(async () => {
    notes = await startMooring({ environment: { SSE_RETRY_MS: '50' } });
    for (const title of ['one', 'two', 'three']) {
      const { structuredContent } = await callModern(notes, 'add_note', { title });
      uris.push((structuredContent as { uri: string }).uri);
    }
  });
  afterAll(async () => {
    await notes.dispose();
  });

  const touch = async (uri: string): Promise<void> => {
    await callModern(notes, 'update_note', { id: uri.replace('notes://', ''), append: 'more' });
  };

  const toUpdated = (events: readonly WireEvent[]): unknown[] =>
    events
      .filter(({ data }) => data.includes('notifications/resources/updated'))
      .map(({ data }) => (JSON.parse(data) as WireMessage).params?.['uri']);

  test('what happened meanwhile is told to who comes back, once and in order', async () => {
    const session = await initialize(notes);
    for (const uri of uris) {
      await postLegacy(notes, session, { id: 1, method: 'resources/subscribe', params: { uri } });
    }
    const [one = '', two = '', three = ''] = uris;
    const cut = new AbortController();
    const first = collectEvents(await getStream(notes, session, { signal: cut.signal }));
    await vi.waitFor(() => expect(first.events).toHaveLength(1), waitMs);
    await touch(one);
    await vi.waitFor(() => expect(toUpdated(first.events)).toEqual([one]), waitMs);
    cut.abort();
    await first.ended;

    for (const uri of [two, three, one, two]) await touch(uri);
    const lastEventId = first.events.at(-1)?.id ?? '';
    const second = collectEvents(await getStream(notes, session, { lastEventId }));
    await vi.waitFor(() => expect(toUpdated(second.events)).toHaveLength(4), waitMs);
    await touch(three);
    await vi.waitFor(() => expect(toUpdated(second.events)).toHaveLength(5), waitMs);
    expect(toUpdated(second.events)).toEqual([two, three, one, two, three]);
    const ids = toMessages([...first.events, ...second.events]).map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    await fetch(notes.url, {
      method: 'DELETE',
      headers: { Authorization: `Bearer ${notes.key}`, 'Mcp-Session-Id': session },
    });
    expect(await second.ended).toBe('closed');
  });

  test("the SDK's client comes back by itself and misses nothing", async () => {
    const cuts: AbortController[] = [];
    const client = await connect(notes, 'legacy', cuts);
    const heard: string[] = [];
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
      heard.push(params.uri);
    });
    const [one = '', two = '', three = ''] = uris;
    const heardOfOthers = (): string[] => heard.filter((uri) => uri !== one);
    for (const uri of uris) await client.subscribeResource({ uri });
    // The client opens its stream beside the first calls; that it hears something proves that it is open.
    await vi.waitFor(async () => {
      await touch(one);
      expect(heard).toContain(one);
    }, waitMs);
    for (const cut of cuts.splice(0)) cut.abort();
    for (const uri of [two, three, two]) await touch(uri);
    await vi.waitFor(() => expect(heardOfOthers()).toEqual([two, three, two]), waitMs);
    await touch(three);
    await vi.waitFor(() => expect(heardOfOthers()).toEqual([two, three, two, three]), waitMs);
    await client.close();
  });
});
