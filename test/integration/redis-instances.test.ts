import { createClient, type RedisClientType } from 'redis';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { openRedis, type RedisConnection } from '../../src/redis/redis-connection.ts';
import { createRedisInstances } from '../../src/redis/redis-instances.ts';
import type { Instances } from '../../src/sessions/instances.ts';
import { describeInstances } from '../../src/sessions/instances.contract.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { findRedis, startRedis, type RedisServer, type SharedRedis } from '../redis-server.ts';

const logger = createLogger({ level: 'silent' });
const ttlMs = 900;
const closers: (() => Promise<void>)[] = [];
let opened = 0;

interface Door {
  readonly id: string;
  readonly instances: Instances;
  readonly connection: RedisConnection;
}

async function open(redis: { readonly url: string; readonly prefix?: string }): Promise<Door> {
  const connection = await openRedis({ ...redis, logger, commandTimeoutMs: 500 });
  opened += 1;
  const id = `i${opened}`;
  const instances = createRedisInstances({ redis: connection, instanceId: id, logger, ttlMs });
  closers.push(async () => {
    await instances.close();
    await connection.close();
  });
  return { id, instances, connection };
}

async function closeAll(): Promise<void> {
  for (const close of closers.splice(0)) await close();
}

describe('on a Redis that may be shared', () => {
  let shared: SharedRedis;
  beforeAll(async () => {
    shared = await findRedis();
  });
  afterEach(closeAll);
  afterAll(() => shared.stop());

  describeInstances('Redis instances', async () => [
    await open(shared),
    await open(shared),
    await open(shared),
  ]);
});

describe('Redis instances', () => {
  let server: RedisServer;
  let control: RedisClientType;

  async function openTwo(): Promise<{ here: Door; there: Door }> {
    const [here, there] = [await open(server), await open(server)];
    await here.instances.announce();
    await there.instances.announce();
    return { here, there };
  }

  beforeAll(async () => {
    server = await startRedis();
    control = createClient({ url: server.url }) as RedisClientType;
    control.on('error', () => undefined);
    await control.connect();
  });
  afterEach(closeAll);
  afterAll(async () => {
    control.destroy();
    await server.stop();
  });

  it('finds an instance dead soon after it ended without a word', async () => {
    const { here, there } = await openTwo();
    // What a killed process does: nothing more.
    await there.connection.close();
    const endedAt = performance.now();
    expect(await here.instances.isAlive(there.id)).toBe(true);
    await vi.waitFor(async () => expect(await here.instances.isAlive(there.id)).toBe(false), {
      timeout: 5000,
    });
    expect(performance.now() - endedAt).toBeLessThan(2 * ttlMs + 1000);
    await vi.waitFor(async () => expect(await here.instances.count()).toBe(1), { timeout: 2000 });
  });

  it('takes no living instance for dead while and after Redis was gone with its data', async () => {
    const { here, there } = await openTwo();
    // Long enough to be sure of deaths.
    await vi.waitFor(async () => expect(await here.instances.isAlive('never-was')).toBe(false), {
      timeout: 5000,
    });
    const verdicts = new Set<unknown>();
    let isWatching = true;
    const watching = (async () => {
      while (isWatching) {
        verdicts.add(await here.instances.isAlive(there.id).catch((error: unknown) => (error as Error).name));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    await server.kill();
    await vi.waitFor(() => expect(verdicts).toContain('UpstreamError'), { timeout: 5000 });
    await control.ping().catch(() => undefined);
    await server.restart();
    await vi.waitFor(async () => expect(await here.instances.count()).toBe(2), { timeout: 8000 });
    await vi.waitFor(async () => expect(await here.instances.isAlive('never-was')).toBe(false), {
      timeout: 8000,
    });
    isWatching = false;
    await watching;
    expect(verdicts).toEqual(new Set(['UpstreamError', true]));
  });

  it('takes no living instance for dead after Redis was frozen for longer than a heartbeat lasts', async () => {
    const { here, there } = await openTwo();
    await vi.waitFor(async () => expect(await here.instances.isAlive('never-was')).toBe(false), {
      timeout: 5000,
    });
    const frozenAt = performance.now();
    server.pause();
    try {
      await vi.waitFor(() => expect(performance.now() - frozenAt).toBeGreaterThan(2 * ttlMs), {
        timeout: 5000,
      });
    } finally {
      server.resume();
    }
    const verdicts = new Set<boolean>();
    await vi.waitFor(
      async () => {
        verdicts.add(await here.instances.isAlive(there.id));
        expect(await here.instances.isAlive('never-was')).toBe(false);
      },
      { timeout: 8000, interval: 5 },
    );
    expect([...verdicts]).toEqual([true]);
  });

  it('closes in time and quietly while Redis is away', async () => {
    const { here } = await openTwo();
    await server.kill();
    const startedAt = performance.now();
    await here.instances.close();
    expect(performance.now() - startedAt).toBeLessThan(2500);
    await server.restart();
  });

  it('leaves nothing in Redis that does not end by itself', async () => {
    const { here, there } = await openTwo();
    await vi.waitFor(async () => expect(await here.instances.count()).toBe(2));
    const keys = await control.keys('mcp:*');
    expect(keys.toSorted()).toEqual(
      [`mcp:instance:${here.id}`, `mcp:instance:${there.id}`, 'mcp:instances'].toSorted(),
    );
    for (const key of keys) expect(await control.pTTL(key)).toBeGreaterThan(0);
    await here.instances.close();
    await there.instances.close();
    expect(await control.keys('mcp:*')).toEqual([]);
  });
});
