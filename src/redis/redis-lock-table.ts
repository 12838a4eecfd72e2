import type { LockTable } from '../sessions/locks.ts';
import { toHashedKey } from './hashed-key.ts';
import type { RedisConnection } from './redis-connection.ts';
import { releaseLock } from './scripts/release-lock.ts';
import { renewLock } from './scripts/renew-lock.ts';
import { takeLock } from './scripts/take-lock.ts';

/** What a lock table on Redis is made with. */
export interface RedisLockTableOptions {
  /** Stays the caller's. */
  readonly redis: RedisConnection;
  /** Milliseconds since the epoch. Default: Redis's own clock, which all instances share. */
  readonly now?: () => number;
}

/** Longer than any clock is put back by. */
const tokenTtlMs = 30 * 24 * 60 * 60 * 1000;

/**
 * Locks that all instances share: one round trip each. Replication lags: a failover may forget a lock that was taken in
 * the moments before it, and give it to another. Then the tokens tell who is the later one.
 */
export function createRedisLockTable({ redis, now }: RedisLockTableOptions): LockTable {
  const toKey = (name: string): string => toHashedKey(redis.prefix, 'lock', name);
  const clockArg = (): string => (now === undefined ? '' : String(now()));
  return {
    take: async (name, holder, ttlMs) => {
      const key = toKey(name);
      const args = [clockArg(), holder, String(Math.ceil(ttlMs)), String(tokenTtlMs)];
      const token = await redis.runScript(takeLock, [key, `${key}:token`], args);
      return typeof token === 'number' ? token : undefined;
    },
    renew: async (name, holder, ttlMs) =>
      (await redis.runScript(renewLock, [toKey(name)], [clockArg(), holder, String(Math.ceil(ttlMs))])) === 1,
    release: async (name, holder) => {
      await redis.runScript(releaseLock, [toKey(name)], [holder]);
    },
  };
}
