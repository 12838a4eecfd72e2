import { afterAll, beforeAll, expect, test } from 'vitest';
import { UpstreamError } from '../../src/errors.ts';
import { describeLimits } from '../../src/policy/limits.contract.ts';
import { openRedis } from '../../src/redis/redis-connection.ts';
import { createRedisLimits } from '../../src/redis/redis-limits.ts';
import { startRedis } from '../redis-server.ts';
import { createTestLog, startRedisBench, type RedisBench } from './redis-bench.ts';

let bench: RedisBench;

beforeAll(async () => {
  bench = await startRedisBench();
});

afterAll(() => bench.stop());

describeLimits('limits on Redis', async (now) => {
  const [first, second] = bench.openEmpty();
  return [createRedisLimits({ redis: first, now }), createRedisLimits({ redis: second, now })];
});

test('by the clock of Redis, what was taken comes back, and nothing is kept for longer than that', async () => {
  const [redis, other] = bench.openEmpty();
  const limit = { capacity: 2, windowMs: 5000 };
  const [here, there] = [createRedisLimits({ redis }), createRedisLimits({ redis: other })];
  await here.take(['sign-in', 'alice@example.com'], limit);
  await there.take(['sign-in', 'alice@example.com'], limit);
  const [kept] = await bench.listKeys(redis.prefix);
  expect(kept?.[0]).toMatch(/^t\d+:limit:\{[\w-]{43}\}$/);
  expect(kept?.[1]).toBeLessThanOrEqual(5000);
  const refused = await here.take(['sign-in', 'alice@example.com'], limit);
  // A busy machine may take longer than that between the two.
  if (!refused.isAllowed) expect(refused.retryAfterMs).toBeLessThanOrEqual(2500);
  await expect.poll(async () => (await bench.listKeys(redis.prefix)).size, { timeout: 20_000 }).toBe(0);
  expect(await there.take(['sign-in', 'alice@example.com'], limit)).toMatchObject({
    isAllowed: true,
    remaining: 1,
  });
});

test('without Redis nothing is allowed: it cannot be known what was taken', async () => {
  const server = await startRedis();
  const redis = await openRedis({ url: server.url, logger: createTestLog().logger, commandTimeoutMs: 300 });
  const limits = createRedisLimits({ redis });
  await server.stop();
  await expect(limits.take(['sign-in'], { capacity: 1, windowMs: 1 })).rejects.toThrow(UpstreamError);
  await expect(limits.look(['sign-in'], { capacity: 1, windowMs: 1 })).rejects.toThrow(UpstreamError);
  await redis.close();
});
