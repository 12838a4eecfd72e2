import { defineScript, type RedisScript } from '../redis-script.ts';

/**
 * Claims something that may happen once.
 *
 * KEYS  1 claim
 * ARGV  1 who claims it, unique to one attempt, 2 how long the claim is remembered in ms
 * Result  1 for the first who claims it, each time; 0 for all others
 *
 * Closes the race of two instances that both find it unclaimed. The first is known again, so that a claim whose reply was
 * lost can be sent once more.
 */
export const claimOnce: RedisScript = defineScript(
  'claim-once',
  `
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0
`,
  { isRepeatable: true },
);
