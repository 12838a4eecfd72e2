import { randomUUID } from 'node:crypto';
import type { Claims } from '../sessions/claims.ts';
import type { RedisConnection } from './redis-connection.ts';
import { claimOnce } from './scripts/claim-once.ts';

/** What claims on Redis are made with. */
export interface RedisClaimsOptions {
  /** Stays the caller's. */
  readonly redis: RedisConnection;
  /** Milliseconds since the epoch, by the clock that the ends of things were set by. */
  readonly now?: () => number;
}

/** Remembered for longer than the thing lasts: an instance whose clock is behind takes it for valid for longer. */
const clockSlackMs = 600_000;

/**
 * Claims that all instances share: one round trip each. Replication lags: a failover may forget a claim that was made in
 * the moments before it.
 */
export function createRedisClaims({ redis, now = Date.now }: RedisClaimsOptions): Claims {
  return {
    claim: async (id, expiresAt) => {
      const leftMs = expiresAt - now();
      if (leftMs <= 0) return false;
      const args = [randomUUID(), String(Math.ceil(leftMs) + clockSlackMs)];
      return (await redis.runScript(claimOnce, [`${redis.prefix}claim:{${id}}`], args)) === 1;
    },
  };
}
