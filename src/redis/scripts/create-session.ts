import { defineScript, type RedisScript } from '../redis-script.ts';
import { sessionLua } from './lua-session.ts';

/**
 * Writes a new session, unless a living one has its id.
 *
 * KEYS  1 session, 2 values, 3 ended
 * ARGV  1 now or '', 2 idle ms, 3 absolute end in 16 digits, 4 sealed record
 * Result  1; 0 when a living session has the id
 *
 * Closes the race of two writers of one id: exactly one wins. What an expired session of the same id left is gone.
 */
export const createSession: RedisScript = defineScript(
  'create-session',
  `${sessionLua}
local now = clock(ARGV[1])
local idleTtlMs = tonumber(ARGV[2])
local present = redis.call('GET', KEYS[1])
if present and not isOver(present, now, idleTtlMs) then return 0 end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
local ttlMs = math.min(idleTtlMs, tonumber(ARGV[3]) - now)
if ttlMs > 0 then
  redis.call('SET', KEYS[1], string.format('%013d', now) .. ARGV[3] .. ARGV[4], 'PX', toTtl(ttlMs, ARGV[1]))
end
return 1
`,
);
