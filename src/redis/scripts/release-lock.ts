import { defineScript, type RedisScript } from '../redis-script.ts';

/**
 * Frees a lock, if it is the holder's.
 *
 * KEYS  1 lock
 * ARGV  1 holder
 * Result  1; 0 when it is another's, or nobody's
 *
 * Closes the race of a lock that another has taken between being looked at and being deleted.
 */
export const releaseLock: RedisScript = defineScript(
  'release-lock',
  `
local text = redis.call('GET', KEYS[1])
if not text or string.match(text, '^%S+') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
`,
  { isRepeatable: true },
);
