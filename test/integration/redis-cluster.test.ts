import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createSealedBox, toSealingKey } from '../../src/mcp/sealed-box.ts';
import { openRedis, type RedisConnection } from '../../src/redis/redis-connection.ts';
import { createRedisMessageBus } from '../../src/redis/redis-message-bus.ts';
import { defineScript } from '../../src/redis/redis-script.ts';
import { toSlot } from '../../src/redis/redis-slots.ts';
import { describeMessageBus } from '../../src/sessions/message-bus.contract.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { type ClusterNode, type RedisCluster, startRedisCluster } from '../redis-cluster.ts';

const logger = createLogger({ level: 'silent' });
const timeout = 60_000;
const patience = { timeout: 20_000, interval: 20 };
const set = defineScript('set', `redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])`);

/** Three masters with a third of the slots each, and a replica of the first. */
describe('a Redis Cluster', () => {
  let cluster: RedisCluster;
  let nodes: readonly ClusterNode[];
  const opened: RedisConnection[] = [];
  let redis: RedisConnection;
  let url: string;

  beforeAll(async () => {
    cluster = await startRedisCluster();
    nodes = cluster.nodes;
    url = cluster.url;
    redis = await openRedis({ url, logger, commandTimeoutMs: 1500 });
    opened.push(redis);
  });
  afterAll(async () => {
    for (const connection of opened) await connection.close();
    await cluster?.stop();
  });

  it('sends each command to the node that has its key', async () => {
    expect(redis.isCluster).toBe(true);
    const keys = Array.from({ length: 50 }, (_, index) => `key${index}`);
    await Promise.all(keys.map((key) => redis.runScript(set, [key], [key])));
    expect(await Promise.all(keys.map((key) => redis.client.get(key)))).toEqual(keys);
    await redis.check();
  });

  it('follows slots that move, and those that are moving', async () => {
    const [, second, third] = nodes;
    if (second === undefined || third === undefined) throw new Error('there are four nodes');
    const slot = toSlot('foo');
    // It is on the third node, and goes to the second.
    await redis.client.set('foo', 'old');
    await second.control.sendCommand(['CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', third.id]);
    await third.control.sendCommand(['CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', second.id]);
    expect(await redis.client.get('foo')).toBe('old');
    expect(await redis.runScript(set, ['new{foo}'], ['1'])).toBe('1');
    expect(await redis.client.get('new{foo}')).toBe('1');
    await third.control.sendCommand(['MIGRATE', '127.0.0.1', String(second.server.port), 'foo', '0', '1000']);
    expect(await redis.client.get('foo')).toBe('old');
    for (const { control } of [second, third])
      await control.sendCommand(['CLUSTER', 'SETSLOT', String(slot), 'NODE', second.id]);
    expect(await redis.runScript(set, ['foo'], ['moved'])).toBe('moved');
    expect(await second.control.get('foo')).toBe('moved');
  });

  describeMessageBus('a message bus on a Redis Cluster', async ({ onError }) => {
    const box = createSealedBox({ keys: [toSealingKey('a1'.repeat(32))] });
    const open = () => createRedisMessageBus({ redis, box, onError });
    return [await open(), await open()];
  });

  it('carries a message on the shard of its topic and on no other', async () => {
    const { bus, heard } = await openBus('session.here');
    const channel = 'mcp:bus:{session.here}';
    const owner = await cluster.ownerOf(channel);
    const channels = await Promise.all(
      nodes.slice(0, 3).map(({ control }) => control.sendCommand<string[]>(['PUBSUB', 'SHARDCHANNELS'])),
    );
    for (const [index, node] of nodes.slice(0, 3).entries())
      expect([index, channels[index]?.includes(channel)]).toEqual([index, node === owner]);
    await bus.publish('session.here', 'one');
    await vi.waitFor(() => expect(heard).toEqual(['one']), patience);
  });

  it(
    'follows a topic whose slot moves, and tells that messages may have been lost',
    { timeout },
    async () => {
      const { bus, heard, gaps } = await openBus('session.moving');
      const channel = 'mcp:bus:{session.moving}';
      const owner = await cluster.ownerOf(channel);
      const other = nodes.slice(0, 3).find((node) => node !== owner);
      if (other === undefined) throw new Error('there are three masters');
      await cluster.moveSlot(channel, other);
      await vi.waitFor(() => expect(gaps.count).toBeGreaterThan(0), patience);
      await bus.publish('session.moving', 'after');
      await vi.waitFor(() => expect(heard).toEqual(['after']), patience);
    },
  );

  it('follows many topics whose slots move while others are subscribed to', { timeout }, async () => {
    const { bus, gaps } = await openBus('session.first');
    const [first, second, third] = nodes;
    if (first === undefined || second === undefined || third === undefined) throw new Error('there are four');
    const topics = Array.from({ length: 120 }, (_, index) => `session.many${index}`);
    const heard = new Set<string>();
    for (const topic of topics) await bus.subscribe(topic, () => heard.add(topic));
    const moving: string[] = [];
    for (const topic of topics)
      if (moving.length < 12 && (await cluster.ownerOf(`mcp:bus:{${topic}}`)) === second) moving.push(topic);
    let isMoving = true;
    const disturb = (async () => {
      for (let count = 0; isMoving; count += 1) {
        const unsubscribe = await bus.subscribe(`session.passing${count}`, () => undefined);
        // It may tell that a topic is not where it should be at this moment.
        await bus.check().catch(() => undefined);
        await unsubscribe();
      }
    })();
    for (const topic of moving) await cluster.moveSlot(`mcp:bus:{${topic}}`, third);
    isMoving = false;
    await disturb;
    await vi.waitFor(() => expect(gaps.count).toBeGreaterThan(0), patience);
    await vi.waitFor(async () => {
      for (const topic of topics) if (!heard.has(topic)) await bus.publish(topic, 'hello');
      expect(heard.size).toBe(topics.length);
    }, patience);
    await bus.check();
  });

  it('goes on with the replica of a node that died', { timeout }, async () => {
    const [first, , , replica] = nodes;
    const key = 'key{06S}';
    expect(toSlot(key)).toBe(0);
    const topic = await findTopicAt(first);
    const { bus, heard, gaps } = await openBus(topic);
    await redis.client.set(key, '1');
    await vi.waitFor(
      async () =>
        expect(await replica?.control.sendCommand<string>(['INFO', 'replication'])).toContain(
          'master_link_status:up',
        ),
      { timeout: 20_000 },
    );
    await vi.waitFor(
      async () => expect(await replica?.control.dbSize()).toBe(await first?.control.dbSize()),
      { timeout: 20_000 },
    );
    await first?.server.kill();
    await vi.waitFor(
      async () => {
        const startedAt = performance.now();
        const outcome = await redis.runScript(set, [key], ['2']).catch((error: unknown) => error);
        expect(performance.now() - startedAt).toBeLessThan(20_000);
        expect(outcome).toBe('2');
      },
      { timeout: 50_000 },
    );
    await redis.check();
    await vi.waitFor(() => expect(gaps.count).toBeGreaterThan(0), { timeout: 30_000 });
    await bus.publish(topic, 'after');
    await vi.waitFor(() => expect(heard).toEqual(['after']), patience);
  });

  /** A bus that listens to one topic, over connections of its own. */
  async function openBus(topic: string) {
    const own = await openRedis({ url, logger, commandTimeoutMs: 1500 });
    opened.push(own);
    const box = createSealedBox({ keys: [toSealingKey('a1'.repeat(32))] });
    const bus = await createRedisMessageBus({
      redis: own,
      box,
      onError: (error) => {
        throw error;
      },
    });
    const heard: string[] = [];
    const gaps = { count: 0 };
    bus.onGap(() => (gaps.count += 1));
    await bus.subscribe(topic, (message) => heard.push(message));
    return { bus, heard, gaps };
  }

  async function findTopicAt(node: ClusterNode | undefined): Promise<string> {
    for (let number = 0; number < 1000; number += 1) {
      const topic = `session.n${number}`;
      if ((await cluster.ownerOf(`mcp:bus:{${topic}}`)) === node) return topic;
    }
    throw new Error('no topic is on this node');
  }
});
