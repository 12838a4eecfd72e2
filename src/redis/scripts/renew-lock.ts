import { defineScript, type RedisScript } from '../redis-script.ts';
import { lockLua } from './lua-lock.ts';
import { sessionLua } from './lua-session.ts';

/**
 * Prolongs a lock.
 *
 * KEYS  1 lock
 * ARGV  1 now or '', 2 holder, 3 how long the lock stays in ms
 * Result  1; 0 when the holder does not hold it any more
 *
 * Closes the race of a lock that runs out, and is taken by another, between being looked at and being prolonged.
 */
export const renewLock: RedisScript = defineScript(
  'renew-lock',
  `${sessionLua}${lockLua}
local now, ttlMs = clock(ARGV[1]), tonumber(ARGV[3])
local holder, token = holding(redis.call('GET', KEYS[1]), now)
if holder ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], renderLock(holder, token, now + ttlMs), 'PX', toTtl(ttlMs, ARGV[1]))
return 1
`,
  { isRepeatable: true },
);
