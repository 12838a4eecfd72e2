import { defineScript, type RedisScript } from '../redis-script.ts';
import { lockLua } from './lua-lock.ts';
import { sessionLua } from './lua-session.ts';

/**
 * Takes a lock that nobody holds, or the holder's own again.
 *
 * KEYS  1 lock, 2 last token
 * ARGV  1 now or '', 2 holder, 3 how long the lock stays in ms, 4 how long the last token is known in ms
 * Result  the token; nil while another holds it
 *
 * A token is the moment when the lock was taken, and greater than the last one even when a clock is put back; once that
 * is forgotten, the moment alone is greater.
 *
 * Closes the race of two instances that both see a lock free.
 */
export const takeLock: RedisScript = defineScript(
  'take-lock',
  `${sessionLua}${lockLua}
local now, ttlMs = clock(ARGV[1]), tonumber(ARGV[3])
local holder, token = holding(redis.call('GET', KEYS[1]), now)
if holder and holder ~= ARGV[2] then return false end
if not holder then
  token = math.max(now, tonumber(redis.call('GET', KEYS[2]) or 0) + 1)
  redis.call('SET', KEYS[2], string.format('%.0f', token), 'PX', ARGV[4])
end
redis.call('SET', KEYS[1], renderLock(ARGV[2], token, now + ttlMs), 'PX', toTtl(ttlMs, ARGV[1]))
return token
`,
  { isRepeatable: true },
);
