/**
 * A deploy, as clients live through it: what is asked to stop finishes what it began, says goodbye, and ends; what
 * was cut is found again.
 */
import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { Agent, request as sendRequest } from 'node:http';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createFolder, type MooringProcess, startMooring, workbenchModule } from './mooring-process.ts';
import {
  collectEvents,
  getStream,
  initialize,
  isEventStream,
  postLegacy,
  postModern,
  readMessage,
  type Target,
  toHeaders,
  type WireEvent,
  type WireMessage,
} from './wire.ts';

const waitMs = { timeout: 10_000, interval: 20 };
const graceMs = 8000;
const folder = createFolder();
const servers: MooringProcess[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.dispose()));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function startWorkbench(environment: Record<string, string> = {}): Promise<MooringProcess> {
  const server = await startMooring({
    module: workbenchModule,
    environment: { SHUTDOWN_GRACE_MS: String(graceMs), ...environment },
  });
  servers.push(server);
  return server;
}

/** Arguments of a call that reports `before` steps and then waits until its gate opens. */
function toCount(to: number, before: number): { args: Record<string, unknown>; open: () => void } {
  const gate = join(folder, randomUUID());
  const args = {
    name: 'count',
    arguments: { to, before, gate },
    _meta: { progressToken: 'p' },
  };
  return { args, open: () => writeFileSync(gate, '') };
}

function toSteps(events: readonly WireEvent[]): unknown[] {
  return events
    .filter(({ data }) => data !== '')
    .map(({ data }) => JSON.parse(data) as WireMessage)
    .map(({ params, result }) => (result === undefined ? params?.['progress'] : 'result'));
}

describe('SIGTERM', () => {
  test('lets calls in flight finish: plain, streamed, and in a legacy session', async () => {
    const server = await startWorkbench();
    const session = await initialize(server);
    const plain = toCount(1, 0);
    const streamed = toCount(4, 2);
    const legacy = toCount(4, 2);
    const plainReply = postModern(server, 'tools/call', { ...plain.args, _meta: {} });
    const streamedReply = await postModern(server, 'tools/call', streamed.args);
    const legacyReply = await postLegacy(server, session, {
      id: 1,
      method: 'tools/call',
      params: legacy.args,
    });
    const [streamedEvents, legacyEvents] = [collectEvents(streamedReply), collectEvents(legacyReply)];
    await vi.waitFor(() => {
      expect(toSteps(streamedEvents.events)).toEqual([1, 2]);
      expect(toSteps(legacyEvents.events)).toEqual([1, 2]);
    }, waitMs);

    server.signal('SIGTERM');
    await refusesConnections(server);
    for (const { open } of [plain, streamed, legacy]) open();

    expect((await readMessage(await plainReply)).result).toMatchObject({
      content: [{ text: 'counted to 1' }],
    });
    expect(await streamedEvents.ended).toBe('closed');
    expect(toSteps(streamedEvents.events)).toEqual([1, 2, 3, 4, 'result']);
    expect(await legacyEvents.ended).toBe('closed');
    expect(toSteps(legacyEvents.events)).toEqual([1, 2, 3, 4, 'result']);
    expect(await server.exited).toMatchObject({ code: 0, signal: null });
  });

  test('ends a GET stream with a hint when to come back', async () => {
    const server = await startWorkbench({ SSE_RETRY_MS: '1234' });
    const session = await initialize(server);
    const { events, ended } = collectEvents(await getStream(server, session));
    await vi.waitFor(() => expect(events).toHaveLength(1), waitMs);
    server.signal('SIGTERM');
    expect(await ended).toBe('closed');
    expect(events.at(-1)).toMatchObject({ data: '', retry: 1234 });
    expect(events.length).toBeGreaterThan(1);
    expect(await server.exited).toMatchObject({ code: 0 });
  });

  test('completes a subscription: the client knows that it was ended, not cut', async () => {
    const server = await startWorkbench();
    const raw = collectEvents(
      await postModern(server, 'subscriptions/listen', { notifications: { toolsListChanged: true } }),
    );
    const client = await connect(server, 'auto');
    const subscription = await client.listen({ resourcesListChanged: true });
    await vi.waitFor(() => expect(raw.events).toHaveLength(1), waitMs);
    server.signal('SIGTERM');
    expect(await raw.ended).toBe('closed');
    expect(JSON.parse(raw.events.at(-1)?.data ?? '')).toMatchObject({
      id: 1,
      result: { resultType: 'complete' },
    });
    expect(await subscription.closed).toBe('graceful');
    expect(await server.exited).toMatchObject({ code: 0 });
  });

  test('takes no probe for ready any more: idle connections are closed, new ones are refused', async () => {
    const server = await startWorkbench();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      const call = toCount(1, 0);
      const inFlight = postModern(server, 'tools/call', { ...call.args, _meta: {} });
      await callArrived(server);
      expect(await getStatus(`${server.origin}/ready`, agent)).toBe(200);
      server.signal('SIGTERM');
      await refusesConnections(server);
      await expect(getStatus(`${server.origin}/ready`, agent)).rejects.toMatchObject({
        code: expect.stringMatching(/ECONNREFUSED|ECONNRESET/),
      });
      call.open();
      expect((await inFlight).status).toBe(200);
      expect(await server.exited).toMatchObject({ code: 0 });
    } finally {
      agent.destroy();
    }
  });

  test('waits for a call no longer than the grace period, and says so to its caller', async () => {
    const server = await startWorkbench({ SHUTDOWN_GRACE_MS: '300' });
    const call = toCount(1, 0);
    const reply = postModern(server, 'tools/call', { ...call.args, _meta: {} });
    await callArrived(server);
    const from = performance.now();
    server.signal('SIGTERM');
    const { error } = await readMessage(await reply);
    expect(error?.message).toMatch(/stopping/);
    expect(await server.exited).toMatchObject({ code: 0 });
    expect(performance.now() - from).toBeLessThan(5000);
  });

  test('a second time ends the process at once', async () => {
    const server = await startWorkbench();
    const call = toCount(1, 0);
    const failed = expect(postModern(server, 'tools/call', { ...call.args, _meta: {} })).rejects.toThrow();
    await callArrived(server);
    server.signal('SIGTERM');
    await refusesConnections(server);
    server.signal('SIGTERM');
    expect(await server.exited).toMatchObject({ code: 143 });
    await failed;
  });
});

describe('a connection that is cut', () => {
  let server: MooringProcess;

  beforeAll(async () => {
    server = await startMooring({ module: workbenchModule, environment: { SSE_RETRY_MS: '50' } });
  });
  afterAll(async () => {
    await server.dispose();
  });

  test('while a call streams: the rest is found with Last-Event-ID, every event once, in order', async () => {
    const session = await initialize(server);
    const call = toCount(20, 7);
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
    const ids = all.map(({ id }) => id).filter((id) => id !== undefined);
    expect(new Set(ids).size).toBe(ids.length);

    // From further back, the same events under the same ids.
    const again = collectEvents(
      await getStream(server, session, { lastEventId: first.events.at(3)?.id ?? '' }),
    );
    expect(await again.ended).toBe('closed');
    expect(again.events.map(({ id }) => id)).toEqual(ids.slice(4));
  });

  test('again and again, once after every event', async () => {
    const session = await initialize(server);
    const call = toCount(6, 6);
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
      await vi.waitFor(() => expect(resumed.events.length).toBeGreaterThan(0), waitMs);
      one.abort();
      const [next] = resumed.events;
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
    const call = toCount(12, 5);
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
    const call = toCount(2, 2);
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

async function connect(
  target: Target,
  mode: 'auto' | 'legacy',
  cuts: AbortController[] = [],
): Promise<Client> {
  const client = new Client({ name: 'resumer', version: '1' }, { versionNegotiation: { mode } });
  const transport = new StreamableHTTPClientTransport(new URL(target.url), {
    requestInit: { headers: { Authorization: `Bearer ${target.key}` } },
    reconnectionOptions: {
      initialReconnectionDelay: 20,
      maxReconnectionDelay: 100,
      reconnectionDelayGrowFactor: 1,
      maxRetries: 20,
    },
    fetch: async (url, init) => {
      const cut = new AbortController();
      const signals = [cut.signal, ...(init?.signal ? [init.signal] : [])];
      const reply = await fetch(url, { ...init, signal: AbortSignal.any(signals) });
      if (isEventStream(reply)) cuts.push(cut);
      return reply;
    },
  });
  await client.connect(transport);
  return client;
}

/** The workbench answers another call after the one before was read from its connection. */
async function callArrived(server: MooringProcess): Promise<void> {
  const reply = await postModern(server, 'tools/call', { name: 'spare_0', arguments: {} });
  expect(reply.status).toBe(200);
}

/** Resolves once nothing listens any more. */
function refusesConnections(server: MooringProcess): Promise<void> {
  return vi.waitFor(async () => {
    const error: unknown = await getStatus(`${server.origin}/health`, new Agent()).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
  }, waitMs);
}

function getStatus(url: string, agent: Agent): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = sendRequest(url, { agent, headers: toHeaders('') }, (reply) => {
      reply.resume();
      reply.on('end', () => {
        resolve(reply.statusCode);
      });
    });
    request.on('error', reject);
    request.end();
  });
}
