import type { Claims } from './claims.ts';

/** Bounds of claims in memory. */
export interface MemoryClaimsOptions {
  /** Claims kept at once, some 150 bytes each. Default 100,000. */
  readonly maxClaims?: number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Claims forgotten per claim: more than one, so that forgetting overtakes claiming. */
const maxSweptPerClaim = 4;

/**
 * Claims of this process. Past its bound the first one is dropped, and with it everything that ends no later counts as
 * claimed: where all things live equally long, that is what was there before it was claimed.
 */
export function createMemoryClaims(options: MemoryClaimsOptions = {}): Claims {
  const { maxClaims = 100_000, now = Date.now } = options;
  // In the order of claiming.
  const claims = new Map<string, number>();
  let claimedUntil = Number.NEGATIVE_INFINITY;
  const sweep = (): void => {
    let swept = 0;
    for (const [id, expiresAt] of claims) {
      const isExpired = now() >= expiresAt;
      if (claims.size < maxClaims && (!isExpired || swept >= maxSweptPerClaim)) return;
      claims.delete(id);
      swept += 1;
      if (!isExpired) claimedUntil = Math.max(claimedUntil, expiresAt);
    }
  };
  return {
    claim: async (id, expiresAt) => {
      if (now() >= expiresAt || expiresAt <= claimedUntil || claims.has(id)) return false;
      sweep();
      if (expiresAt <= claimedUntil) return false;
      claims.set(id, expiresAt);
      return true;
    },
  };
}
