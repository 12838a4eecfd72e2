/**
 * Sessions without affinity: three instances behind a round-robin balancer are one server to every client, while
 * instances come and go.
 */
import { rmSync } from 'node:fs';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as FirstClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as FirstTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type RedisServer, startRedis } from '../redis-server.ts';
import { type Fleet, startFleet } from './fleet.ts';
import { createFolder } from './mooring-process.ts';
import {
  callModern,
  collectEvents,
  getStream,
  initialize,
  postLegacy,
  postModern,
  readMessage,
  type Target,
} from './wire.ts';
import { connect, toCount, toSteps } from './workbench.ts';

const waitMs = { timeout: 15_000, interval: 50 };
const folder = createFolder();
let redis: RedisServer;
let fleet: Fleet;
const clients: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  redis = await startRedis();
  fleet = await startFleet({ redisUrl: redis.url, environment: { SSE_RETRY_MS: '50' } });
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
});
afterAll(async () => {
  await fleet?.stop();
  await redis?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Calls a tool in a session and gives the text that it returned. */
async function callIn(
  session: string,
  name: string,
  args: Record<string, unknown> = {},
  target: Target = fleet,
): Promise<string> {
  const reply = await postLegacy(target, session, {
    id: 1,
    method: 'tools/call',
    params: { name, arguments: args },
  });
  const { result, error } = await readMessage(reply);
  if (result === undefined) throw new Error(`${name}: ${reply.status} ${JSON.stringify(error)}`);
  return (result['content'] as readonly { readonly text: string }[])[0]?.text ?? '';
}

async function connectAsking(mode: 'auto' | 'legacy'): Promise<Client> {
  const client = new Client(
    { name: 'asked', version: '1' },
    { capabilities: { elicitation: {} }, versionNegotiation: { mode } },
  );
  client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { name: 'Ada' } }));
  const requestInit = { headers: { Authorization: `Bearer ${fleet.key}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(fleet.url), { requestInit }));
  clients.push(client);
  return client;
}

describe('one session on three instances', () => {
  test('is served by whichever is next', async () => {
    const session = await initialize(fleet);
    const pids = await Promise.all(Array.from({ length: 12 }, () => callIn(session, 'where')));
    expect(new Set(pids).size).toBe(3);
  });

  test.each(['legacy', 'auto'] as const)(
    'asks its user, answered through any of them: SDK v2, %s',
    async (mode) => {
      const client = await connectAsking(mode);
      const answers = await Promise.all(
        Array.from({ length: 9 }, () => client.callTool({ name: 'ask', arguments: {} })),
      );
      for (const { content } of answers) expect(content).toEqual([{ type: 'text', text: 'hello Ada' }]);
    },
  );

  test('asks its user, answered through any of them: SDK v1', async () => {
    const client = new FirstClient({ name: 'asked', version: '1' }, { capabilities: { elicitation: {} } });
    client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { name: 'Ada' } }));
    const requestInit = { headers: { Authorization: `Bearer ${fleet.key}` } };
    // The SDK's own classes disagree under exactOptionalPropertyTypes.
    await client.connect(
      new FirstTransport(new URL(fleet.url), { requestInit }) as Parameters<typeof client.connect>[0],
    );
    clients.push(client);
    for (let count = 0; count < 6; count += 1) {
      const { content } = await client.callTool({ name: 'ask', arguments: {} });
      expect(content).toEqual([{ type: 'text', text: 'hello Ada' }]);
    }
  });

  test('keeps its values: concurrent changes on all instances, none lost', async () => {
    const session = await initialize(fleet);
    const counted = await Promise.all(
      Array.from({ length: 15 }, () => callIn(session, 'add_to', { key: 'visits' })),
    );
    expect(counted.map(Number).toSorted((one, other) => one - other)).toEqual(
      Array.from({ length: 15 }, (_, index) => index + 1),
    );
  });

  test('hears on its GET stream of what happens at any of them', async () => {
    const session = await initialize(fleet);
    const subscribed = await postLegacy(fleet, session, {
      id: 2,
      method: 'resources/subscribe',
      params: { uri: 'workbench://thing' },
    });
    expect(subscribed.status).toBe(200);
    const { events } = collectEvents(await getStream(fleet, session));
    await vi.waitFor(() => expect(events).toHaveLength(1), waitMs);
    // Each through the next instance.
    for (let count = 0; count < 3; count += 1) await callModern(fleet, 'change');
    const methods = (): unknown[] =>
      events
        .filter(({ data }) => data !== '')
        .map(({ data }) => (JSON.parse(data) as { method: string }).method);
    await vi.waitFor(() => expect(methods()).toHaveLength(6), waitMs);
    expect(methods().filter((method) => method === 'notifications/resources/updated')).toHaveLength(3);
  });

  test('is heard by subscriptions of the stateless era, too', async () => {
    const { events } = collectEvents(
      await postModern(fleet, 'subscriptions/listen', {
        notifications: { toolsListChanged: true, resourceSubscriptions: ['workbench://thing'] },
      }),
    );
    await vi.waitFor(() => expect(events).toHaveLength(1), waitMs);
    for (let count = 0; count < 3; count += 1) await callModern(fleet, 'change');
    await vi.waitFor(() => expect(events).toHaveLength(7), waitMs);
  });

  test('resumes a call whose connection was cut on whichever instance the client reaches', async () => {
    const session = await initialize(fleet);
    const call = toCount(folder, 12, 5);
    const cut = new AbortController();
    const message = { id: 1, method: 'tools/call', params: call.args };
    const first = collectEvents(await postLegacy(fleet, session, message, cut.signal));
    await vi.waitFor(() => expect(toSteps(first.events)).toHaveLength(5), waitMs);
    cut.abort();
    await first.ended;
    const lastEventId = first.events.at(-1)?.id ?? '';
    const second = collectEvents(await getStream(fleet, session, { lastEventId }));
    call.open();
    expect(await second.ended).toBe('closed');
    expect(toSteps([...first.events, ...second.events])).toEqual([
      ...Array.from({ length: 12 }, (_, index) => index + 1),
      'result',
    ]);
  });

  test('cancels a call that runs at another instance', async () => {
    const session = await initialize(fleet);
    const call = toCount(folder, 2, 1);
    const reply = await postLegacy(fleet, session, { id: 77, method: 'tools/call', params: call.args });
    const { ended, events } = collectEvents(reply);
    await vi.waitFor(() => expect(toSteps(events)).toHaveLength(1), waitMs);
    for (let count = 0; count < 3; count += 1) {
      await postLegacy(fleet, session, { method: 'notifications/cancelled', params: { requestId: 77 } });
    }
    expect(await ended).toBe('closed');
    expect(JSON.parse(events.at(-1)?.data ?? '')).toMatchObject({
      id: 77,
      error: { message: 'Request cancelled' },
    });
  });

  test('ends at all of them at once', async () => {
    const session = await initialize(fleet);
    const stream = collectEvents(await getStream(fleet, session));
    await vi.waitFor(() => expect(stream.events).toHaveLength(1), waitMs);
    const ended = await fetch(fleet.url, {
      method: 'DELETE',
      headers: { Authorization: `Bearer ${fleet.key}`, 'Mcp-Session-Id': session },
    });
    expect(ended.status).toBe(204);
    expect(await stream.ended).toBe('closed');
    for (let count = 0; count < 3; count += 1) {
      const reply = await postLegacy(fleet, session, { id: 1, method: 'ping' });
      expect(reply.status).toBe(404);
    }
  });
});

describe('instances that come and go', () => {
  test('a call whose instance is killed is told so, soon, and the session goes on', async () => {
    const session = await initialize(fleet);
    const pid = Number(await callIn(session, 'where'));
    const index = fleet.instances.findIndex((instance) => instance.pid === pid);
    const doomed = fleet.instances[index];
    if (doomed === undefined) throw new Error('the process that answered is not one of the fleet');
    const call = toCount(folder, 3, 1);
    const direct: Target = { url: doomed.url, key: fleet.key };
    const first = collectEvents(
      await postLegacy(direct, session, { id: 9, method: 'tools/call', params: call.args }),
    );
    await vi.waitFor(() => expect(toSteps(first.events)).toEqual([1]), waitMs);
    doomed.signal('SIGKILL');
    expect(await first.ended).toBe('cut');
    const lastEventId = first.events.at(-1)?.id ?? '';
    const second = collectEvents(await getStream(fleet, session, { lastEventId }));
    expect(await second.ended).toBe('closed');
    expect(JSON.parse(second.events.at(-1)?.data ?? '')).toMatchObject({
      id: 9,
      error: { data: { reason: 'instance_lost' } },
    });
    expect(await callIn(session, 'where')).not.toBe(String(pid));
    await fleet.replace(index);
  });

  test('a session outlives every process that has served it', async () => {
    const session = await initialize(fleet);
    await callIn(session, 'add_to', { key: 'lives' });
    const pids = new Set(fleet.instances.map(({ pid }) => pid));
    for (const index of fleet.instances.keys()) {
      fleet.instances[index]?.signal(index === 0 ? 'SIGKILL' : 'SIGTERM');
      await fleet.replace(index);
    }
    for (const { pid } of fleet.instances) expect(pids).not.toContain(pid);
    expect(await callIn(session, 'add_to', { key: 'lives' })).toBe('2');
  });

  test('an SDK client keeps its session and its calls through a rolling restart', async () => {
    const client = await connect(fleet, 'legacy');
    clients.push(client);
    for (const index of fleet.instances.keys()) {
      const call = toCount(folder, 2, 1);
      const counted = client.callTool({
        name: 'count',
        arguments: call.args['arguments'] as Record<string, unknown>,
      });
      fleet.instances[index]?.signal('SIGTERM');
      call.open();
      expect((await counted).content).toEqual([{ type: 'text', text: 'counted to 2' }]);
      await fleet.replace(index);
    }
  });
});

describe('Redis', () => {
  test('that is away makes requests wait, then fail as unavailable, never as unknown; back, all goes on', async () => {
    const session = await initialize(fleet);
    await callIn(session, 'add_to', { key: 'kept' });
    redis.pause();
    try {
      const reply = await postLegacy(fleet, session, { id: 1, method: 'ping' });
      expect(reply.status).toBe(503);
      expect(reply.headers.get('retry-after')).not.toBeNull();
    } finally {
      redis.resume();
    }
    await vi.waitFor(async () => expect(await callIn(session, 'add_to', { key: 'kept' })).toBe('2'), waitMs);
  });

  test('that came back empty lets clients start over by themselves', async () => {
    const session = await initialize(fleet);
    await redis.kill();
    await redis.restart();
    await vi.waitFor(async () => {
      const reply = await postLegacy(fleet, session, { id: 1, method: 'ping' });
      expect(reply.status).toBe(404);
    }, waitMs);
    expect(await callIn(await initialize(fleet), 'where')).not.toBe('');
  });
});
