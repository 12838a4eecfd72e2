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
const waitMs = { timeout: 30_000, interval: 20 };
const closers: (() => Promise<void>)[] = [];
let opened = 0;

/** Waits until a missing heartbeat would be believed. */
async function untilItCanTellDeath({ instances }: Door): Promise<void> {
  await vi.waitFor(async () => expect(await instances.isAlive('never-was')).toBe(false), waitMs);
}

/** Asks one instance again and again whether another lives. */
function watchVerdicts(
  { instances }: Door,
  { id }: Door,
): { readonly verdicts: ReadonlySet<unknown>; end(): Promise<ReadonlySet<unknown>> } {
  const verdicts = new Set<unknown>();
  let isWatching = true;
  const watching = (async () => {
    while (isWatching) {
      verdicts.add(await instances.isAlive(id).catch((error: unknown) => (error as Error).name));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  return {
    verdicts,
    end: async () => {
      isWatching = false;
      await watching;
      return verdicts;
    },
  };
}

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
    await untilItCanTellDeath(here);
    expect(await here.instances.isAlive(there.id)).toBe(true);
    // What a killed process does: nothing more.
    await there.connection.close();
    await vi.waitFor(async () => expect(await here.instances.isAlive(there.id)).toBe(false), waitMs);
    await vi.waitFor(async () => expect(await here.instances.count()).toBe(1), waitMs);
  });

  it('takes no living instance for dead while and after Redis was gone with its data', async () => {
    const { here, there } = await openTwo();
    await untilItCanTellDeath(here);
    const watch = watchVerdicts(here, there);
    await server.kill();
    await vi.waitFor(() => expect(watch.verdicts).toContain('UpstreamError'), waitMs);
    await server.restart();
    await vi.waitFor(async () => expect(await here.instances.count()).toBe(2), waitMs);
    await untilItCanTellDeath(here);
    expect(await watch.end()).toEqual(new Set(['UpstreamError', true]));
  });

  it('takes no living instance for dead while and after Redis was frozen for longer than a heartbeat lasts', async () => {
    const { here, there } = await openTwo();
    await untilItCanTellDeath(here);
    const watch = watchVerdicts(here, there);
    const frozenAt = performance.now();
    server.pause();
    try {
      await vi.waitFor(() => expect(performance.now() - frozenAt).toBeGreaterThan(2 * ttlMs), waitMs);
      expect(watch.verdicts).toContain('UpstreamError');
    } finally {
      server.resume();
    }
    await vi.waitFor(async () => expect(await here.instances.count()).toBe(2), waitMs);
    await untilItCanTellDeath(here);
    expect(await watch.end()).toEqual(new Set(['UpstreamError', true]));
  });

  it('closes in time and quietly while Redis is away', async () => {
    const { here } = await openTwo();
    await server.kill();
    const startedAt = performance.now();
    await here.instances.close();
    // Bounded by its commands, half a second each; the rest is what a busy machine takes.
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    await server.restart();
  });

  it('leaves nothing in Redis that does not end by itself', async () => {
    const { here, there } = await openTwo();
    await vi.waitFor(async () => expect(await here.instances.count()).toBe(2), waitMs);
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
