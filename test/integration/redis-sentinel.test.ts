import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { UpstreamError } from '../../src/errors.ts';
import { openRedis, type RedisConnection } from '../../src/redis/redis-connection.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { startRedis, startSentinel, type RedisServer } from '../redis-server.ts';

const logger = createLogger({ level: 'silent' });

describe('Redis behind sentinels', () => {
  let servers: RedisServer[] = [];
  let redis: RedisConnection;

  beforeAll(async () => {
    const master = await startRedis();
    const replica = await startRedis({ settings: [['replicaof', '127.0.0.1', String(master.port)]] });
    const sentinel = await startSentinel('main', master.port);
    servers = [master, replica, sentinel];
    const observer = createClient({ url: sentinel.url });
    await observer.connect();
    // The sentinel learns of the replica from the master.
    await vi.waitFor(
      async () => expect(await observer.sendCommand(['SENTINEL', 'REPLICAS', 'main'])).toHaveLength(1),
      { timeout: 20_000 },
    );
    observer.destroy();
    // One that does not answer comes first.
    redis = await openRedis({
      url: `redis+sentinel://127.0.0.1:1,127.0.0.1:${sentinel.port}/main`,
      logger,
      commandTimeoutMs: 1000,
    });
  });
  afterAll(async () => {
    await redis.close();
    for (const server of servers) await server.stop();
  });

  it('follows the master when it dies, for commands and messages', async () => {
    const [master] = servers;
    const received: string[] = [];
    const subscriber = await redis.createSubscriber();
    await subscriber.subscribe('news', (message) => received.push(message));
    await redis.client.set('kept', '1');
    await redis.client.publish('news', 'before');
    await vi.waitFor(() => expect(received).toEqual(['before']), { timeout: 20_000 });
    // Replication is asynchronous: what is not there yet would be lost with the master, whoever connects.
    const replica = createClient({ url: servers[1]?.url ?? '' });
    await replica.connect();
    await vi.waitFor(async () => expect(await replica.get('kept')).toBe('1'), { timeout: 20_000 });
    replica.destroy();
    await master?.kill();
    const failures: unknown[] = [];
    await vi.waitFor(
      async () => {
        const startedAt = performance.now();
        const failure: unknown = await redis.client.set('new', '1').then(
          () => undefined,
          (error: unknown) => error,
        );
        expect(performance.now() - startedAt).toBeLessThan(20_000);
        if (failure !== undefined) failures.push(failure);
        expect(failure).toBeUndefined();
      },
      { timeout: 20_000 },
    );
    expect(failures.every((failure) => failure instanceof UpstreamError)).toBe(true);
    expect(await redis.client.get('kept')).toBe('1');
    await vi.waitFor(
      async () => {
        await redis.client.publish('news', 'after');
        expect(received).toContain('after');
      },
      { timeout: 20_000 },
    );
  });
});
