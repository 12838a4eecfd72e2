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

  it('goes on with the replica of a node that died', { timeout }, async () => {
    const [first, , , replica] = nodes;
    const key = 'key{06S}';
    expect(toSlot(key)).toBe(0);
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
  });
});
