import type { ReplayGuard } from '../auth/dpop/replay-guard.ts';
import type { RedisConnection } from './redis-connection.ts';

/** A guard for all instances: of many at once, on whichever instances, Redis lets one set the name. */
export function createRedisReplayGuard({ client, prefix }: RedisConnection): ReplayGuard {
  return {
    claim: async (name, ttlMs) => {
      const reply = await client.set(`${prefix}proof:${name}`, '1', {
        condition: 'NX',
        expiration: { type: 'PX', value: ttlMs },
      });
      return reply === 'OK';
    },
  };
}
