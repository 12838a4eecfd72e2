import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRedisClaims } from '../../src/redis/redis-claims.ts';
import { describeClaims } from '../../src/sessions/claims.contract.ts';
import { startRedisBench, type RedisBench } from './redis-bench.ts';

let bench: RedisBench;

beforeAll(async () => {
  bench = await startRedisBench();
});

afterAll(() => bench.stop());

describeClaims('claims on Redis', async (now) => {
  const [first, second] = bench.openEmpty();
  return [createRedisClaims({ redis: first, now }), createRedisClaims({ redis: second, now })];
});

test('a claim is remembered for longer than what it is of, for instances whose clock is behind, and not for ever', async () => {
  const [redis, other] = bench.openEmpty();
  const expiresAt = Date.now() + 1000;
  expect(await createRedisClaims({ redis }).claim('state', expiresAt)).toBe(true);
  const behind = createRedisClaims({ redis: other, now: () => Date.now() - 300_000 });
  expect(await behind.claim('state', expiresAt)).toBe(false);
  for (const ttlMs of (await bench.listKeys(redis.prefix)).values()) {
    expect(ttlMs).toBeGreaterThan(500_000);
    expect(ttlMs).toBeLessThanOrEqual(601_000);
  }
});
