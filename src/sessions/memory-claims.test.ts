import { expect, test } from 'vitest';
import { describeClaims } from './claims.contract.ts';
import { createMemoryClaims } from './memory-claims.ts';

describeClaims('claims in memory', async (now) => [createMemoryClaims({ now })]);

test('past its bound nothing that was claimed can be claimed again, and what is new still can', async () => {
  let now = 1_000_000;
  const ttlMs = 600;
  const claims = createMemoryClaims({ maxClaims: 3, now: () => now });
  const made: [string, number][] = [];
  for (let count = 0; count < 50; count += 1) {
    now += 10;
    made.push([`state-${count}`, now + ttlMs]);
    expect(await claims.claim(`state-${count}`, now + ttlMs)).toBe(true);
    for (const [id, expiresAt] of made) expect(await claims.claim(id, expiresAt)).toBe(false);
  }
  // Made before the first of those that were dropped was claimed: whether it was claimed cannot be known.
  expect(await claims.claim('old', 1_000_010 + ttlMs)).toBe(false);
});
