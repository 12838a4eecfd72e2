import {
  type Limit,
  type LimitOutcome,
  type Limits,
  type LimitSubject,
  toLimitKey,
} from '../policy/limits.ts';
import type { RedisConnection } from './redis-connection.ts';
import { takeFromLimit } from './scripts/take-from-limit.ts';

/** What limits on Redis are made with. */
export interface RedisLimitsOptions {
  /** Stays the caller's. */
  readonly redis: RedisConnection;
  /** Milliseconds since the epoch. Default: Redis's own clock, which all instances share. */
  readonly now?: () => number;
}

/**
 * Limits that all instances share: one round trip each. What is kept of one goes by itself once all has come back.
 * Replication lags: a failover may forget what was taken in the moments before it.
 */
export function createRedisLimits({ redis, now }: RedisLimitsOptions): Limits {
  // The subject is hashed already, and the hash is the tag.
  const toKey = (name: string): string => `${redis.prefix}limit:{${name}}`;
  const ask = async (
    what: 'take' | 'look',
    subject: LimitSubject,
    limit: Limit,
    cost: number,
  ): Promise<LimitOutcome> => {
    const key = toKey(toLimitKey(subject, limit, cost));
    const { capacity, windowMs } = limit;
    const args = [now === undefined ? '' : now(), capacity, windowMs, cost, what].map(String);
    // The script returns three numbers.
    const reply = (await redis.runScript(takeFromLimit, [key], args)) as readonly [number, number, number];
    const [isAllowed, remaining, retryAfterMs] = reply;
    return { isAllowed: isAllowed === 1, remaining, retryAfterMs };
  };
  return {
    take: (subject, limit, cost = 1) => ask('take', subject, limit, cost),
    look: (subject, limit) => ask('look', subject, limit, 1),
    reset: async (subject, limit) => {
      await redis.client.del(toKey(toLimitKey(subject, limit)));
    },
  };
}
