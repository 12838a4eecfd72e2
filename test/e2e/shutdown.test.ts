/** A deploy, as clients live through it: what is asked to stop finishes what it began, says goodbye, and ends. */
import { rmSync } from 'node:fs';
import { Agent, request as sendRequest } from 'node:http';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { createFolder, type MooringProcess, startMooring, workbenchModule } from './mooring-process.ts';
import {
  collectEvents,
  getStream,
  initialize,
  postLegacy,
  postModern,
  readMessage,
  toHeaders,
} from './wire.ts';
import { connect, toCount, toSteps } from './workbench.ts';

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

describe('SIGTERM', () => {
  test('lets calls in flight finish: plain, streamed, and in a legacy session', async () => {
    const server = await startWorkbench();
    const session = await initialize(server);
    const plain = toCount(folder, 1, 0);
    const streamed = toCount(folder, 4, 2);
    const legacy = toCount(folder, 4, 2);
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

  test('lets a call finish whose client had come back for its stream', async () => {
    const server = await startWorkbench();
    const session = await initialize(server);
    const call = toCount(folder, 4, 2);
    const cut = new AbortController();
    const message = { id: 1, method: 'tools/call', params: call.args };
    const first = collectEvents(await postLegacy(server, session, message, cut.signal));
    await vi.waitFor(() => expect(toSteps(first.events)).toEqual([1, 2]), waitMs);
    cut.abort();
    await first.ended;
    const lastEventId = first.events.at(-1)?.id ?? '';
    const second = collectEvents(await getStream(server, session, { lastEventId }));
    server.signal('SIGTERM');
    await refusesConnections(server);
    call.open();
    expect(await second.ended).toBe('closed');
    expect(toSteps(second.events)).toEqual([3, 4, 'result']);
    expect(await server.exited).toMatchObject({ code: 0 });
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

  test('is ready to no probe any more: on a connection that is open it says so, new ones are refused', async () => {
    const server = await startWorkbench();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      const call = toCount(folder, 1, 0);
      const inFlight = postModern(server, 'tools/call', { ...call.args, _meta: {} });
      await callArrived(server);
      expect(await getStatus(`${server.origin}/ready`, agent)).toBe(200);
      server.signal('SIGTERM');
      await refusesConnections(server);
      // On the open connection while it may take a last request; after that there is none.
      const told = await getStatus(`${server.origin}/ready`, agent).catch(
        (error: unknown) => (error as NodeJS.ErrnoException).code,
      );
      expect([503, 'ECONNREFUSED', 'ECONNRESET']).toContain(told);
      call.open();
      expect((await inFlight).status).toBe(200);
      expect(await server.exited).toMatchObject({ code: 0 });
    } finally {
      agent.destroy();
    }
  });

  test('goes on serving for the delay, no longer ready, so that a balancer can notice', async () => {
    const server = await startWorkbench({ SHUTDOWN_DELAY_MS: '60000' });
    server.signal('SIGTERM');
    await vi.waitFor(async () => {
      const reply = await fetch(`${server.origin}/ready`);
      expect(reply.status).toBe(503);
      expect(await reply.json()).toEqual({ status: 'stopping' });
    }, waitMs);
    expect((await postModern(server, 'tools/list', {})).status).toBe(200);
    server.signal('SIGTERM');
    await server.exited;
  });

  test('waits for a call no longer than the grace period, and says so to its caller', async () => {
    const server = await startWorkbench({ SHUTDOWN_GRACE_MS: '300' });
    const call = toCount(folder, 1, 0);
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
    const call = toCount(folder, 1, 0);
    const failed = expect(postModern(server, 'tools/call', { ...call.args, _meta: {} })).rejects.toThrow();
    await callArrived(server);
    server.signal('SIGTERM');
    await refusesConnections(server);
    server.signal('SIGTERM');
    expect(await server.exited).toMatchObject({ code: 143 });
    await failed;
  });
});

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
