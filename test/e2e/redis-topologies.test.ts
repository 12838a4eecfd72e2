/** Two instances that share a Redis behind Sentinels, or a Redis Cluster: all that a fleet does on one server. */
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { Client as FirstClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as FirstTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type RedisCluster, startRedisCluster } from '../redis-cluster.ts';
import { type RedisServer, startRedis, startSentinel } from '../redis-server.ts';
import { type Fleet, startFleet } from './fleet.ts';
import { callModern, collectEvents, getStream, initialize, postLegacy, readMessage } from './wire.ts';

const waitMs = { timeout: 30_000, interval: 100 };
const key = 'visits';

async function countVisit(fleet: Fleet, session: string): Promise<string | undefined> {
  const params = { name: 'add_to', arguments: { key } };
  const reply = await postLegacy(fleet, session, { id: 1, method: 'tools/call', params });
  const { result } = await readMessage(reply);
  return (result?.['content'] as readonly { readonly text: string }[] | undefined)?.[0]?.text;
}

/** What two instances can do only together. */
async function expectServed(fleet: Fleet): Promise<void> {
  const session = await initialize(fleet);
  for (const count of ['1', '2', '3', '4']) expect(await countVisit(fleet, session)).toBe(count);

  const { events } = collectEvents(await getStream(fleet, session));
  await vi.waitFor(() => expect(events).toHaveLength(1), waitMs);
  // Each through the next instance, so one of them through the one that has no stream.
  for (let count = 0; count < 2; count += 1) await callModern(fleet, 'change');
  await vi.waitFor(() => expect(events.length).toBeGreaterThanOrEqual(3), waitMs);

  const client = new FirstClient({ name: 'asked', version: '1' }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { name: 'Ada' } }));
  const requestInit = { headers: { Authorization: `Bearer ${fleet.key}` } };
  // The SDK's own classes disagree under exactOptionalPropertyTypes.
  await client.connect(
    new FirstTransport(new URL(fleet.url), { requestInit }) as Parameters<typeof client.connect>[0],
  );
  try {
    for (let count = 0; count < 4; count += 1) {
      const { content } = await client.callTool({ name: 'ask', arguments: {} });
      expect(content).toEqual([{ type: 'text', text: 'hello Ada' }]);
    }
  } finally {
    await client.close();
  }
}

/** An open stream hears of changes again; what happened in between may be lost, so they go on happening. */
async function expectHeard(fleet: Fleet, events: readonly unknown[]): Promise<void> {
  const before = events.length;
  await vi.waitFor(async () => {
    await callModern(fleet, 'change');
    expect(events.length).toBeGreaterThan(before);
  }, waitMs);
}

describe('two instances on Redis behind a Sentinel', () => {
  const servers: RedisServer[] = [];
  let fleet: Fleet;

  beforeAll(async () => {
    const master = await startRedis();
    servers.push(master);
    const replica = await startRedis({ settings: [['replicaof', '127.0.0.1', String(master.port)]] });
    servers.push(replica);
    const sentinel = await startSentinel('main', master.port);
    servers.push(sentinel);
    const observer = createClient({ url: sentinel.url });
    await observer.connect();
    // The sentinel learns of the replica from the master.
    await vi.waitFor(
      async () => expect(await observer.sendCommand(['SENTINEL', 'REPLICAS', 'main'])).toHaveLength(1),
      waitMs,
    );
    observer.destroy();
    const redisUrl = `redis+sentinel://127.0.0.1:${sentinel.port}/main`;
    fleet = await startFleet({ redisUrl, count: 2, environment: { SSE_RETRY_MS: '50' } });
  });
  afterAll(async () => {
    await fleet?.stop();
    for (const server of servers) await server.stop();
  });

  test('serve as one', () => expectServed(fleet));

  test('go on with sessions and open streams when another server becomes the master', async () => {
    const session = await initialize(fleet);
    expect(await countVisit(fleet, session)).toBe('1');
    const { events } = collectEvents(await getStream(fleet, session));
    await vi.waitFor(() => expect(events).toHaveLength(1), waitMs);
    const [master, replica] = servers;
    const control = createClient({ url: master?.url ?? '' });
    control.on('error', () => undefined);
    await control.connect();
    // What is not there yet would be lost with the master, whoever serves.
    expect(await control.wait(1, 10_000)).toBe(1);
    control.destroy();
    await master?.kill();
    await vi.waitFor(async () => expect(await countVisit(fleet, session)).toBe('2'), waitMs);
    await expectHeard(fleet, events);
    const now = createClient({ url: replica?.url ?? '' });
    await now.connect();
    expect(await now.sendCommand(['ROLE'])).toContain('master');
    now.destroy();
    await expectServed(fleet);
  });
});

describe('two instances on a Redis Cluster', () => {
  let cluster: RedisCluster;
  let fleet: Fleet;

  beforeAll(async () => {
    cluster = await startRedisCluster();
    fleet = await startFleet({ redisUrl: cluster.url, count: 2, environment: { SSE_RETRY_MS: '50' } });
  });
  afterAll(async () => {
    await fleet?.stop();
    await cluster?.stop();
  });

  test('serve as one', () => expectServed(fleet));

  test('go on with a session and its open stream while its slot moves to another node', async () => {
    const session = await initialize(fleet);
    const { events } = collectEvents(await getStream(fleet, session));
    await vi.waitFor(() => expect(events).toHaveLength(1), waitMs);
    expect(await countVisit(fleet, session)).toBe('1');
    const sessionKey = `mcp:session:{${session}}`;
    const owner = await cluster.ownerOf(sessionKey);
    const other = cluster.nodes.slice(0, 3).find((node) => node !== owner);
    if (other === undefined) throw new Error('there are three masters');
    const counting = (async () => {
      for (let count = 2; count <= 12; count += 1)
        await vi.waitFor(async () => expect(await countVisit(fleet, session)).toBe(String(count)), waitMs);
    })();
    await Promise.all([counting, cluster.moveSlot(sessionKey, other)]);
    expect(await cluster.ownerOf(sessionKey)).toBe(other);
    await expectHeard(fleet, events);
    expect(await countVisit(fleet, session)).toBe('13');
  });

  test('serve as one after a node was replaced by its replica', async () => {
    await cluster.nodes[0]?.server.kill();
    await vi.waitFor(async () => {
      const info = await cluster.nodes[3]?.control.sendCommand<unknown[]>(['ROLE']);
      expect(info?.[0]).toBe('master');
    }, waitMs);
    await vi.waitFor(() => expectServed(fleet), waitMs);
  });
});
