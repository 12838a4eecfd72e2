import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createRedisLockTable } from '../../src/redis/redis-lock-table.ts';
import { describeLockTable } from '../../src/sessions/lock-table.contract.ts';
import { createLocks } from '../../src/sessions/locks-on-table.ts';
import { startRedisBench, type RedisBench } from './redis-bench.ts';

let bench: RedisBench;

beforeAll(async () => {
  bench = await startRedisBench();
});

afterAll(() => bench.stop());

describeLockTable('a lock table on Redis', async (now) => {
  const clock = now === undefined ? {} : { now };
  const [first, second] = bench.openEmpty();
  return [
    createRedisLockTable({ redis: first, ...clock }),
    createRedisLockTable({ redis: second, ...clock }),
  ];
});

test('what is kept of a lock ends by itself, and does not show its name', async () => {
  const [redis] = bench.openEmpty();
  await createRedisLockTable({ redis }).take('alice@example.com', 'holder', 5000);
  const keys = await bench.listKeys(redis.prefix);
  expect(keys.size).toBe(2);
  for (const [key, ttlMs] of keys) {
    expect(key).not.toContain('alice');
    expect(ttlMs).toBeGreaterThan(0);
  }
});

test('a holder whose lock Redis forgot, as a failover may, is told, and leaves the next holder its lock', async () => {
  const [first, second] = bench.openEmpty();
  const [here, there] = [createRedisLockTable({ redis: first }), createRedisLockTable({ redis: second })];
  const key = (): Promise<string | undefined> =>
    bench.listKeys(first.prefix).then((keys) => [...keys.keys()].find((name) => name.endsWith('}')));
  await createLocks(here).withLock('x', { ttlMs: 1500 }, async ({ token, signal }) => {
    await first.client.del((await key()) ?? '');
    expect(await there.take('x', 'next', 30_000)).toBeGreaterThan(token);
    await vi.waitFor(() => expect(signal.aborted).toBe(true), { timeout: 20_000 });
  });
  expect(await there.renew('x', 'next', 30_000)).toBe(true);
});
