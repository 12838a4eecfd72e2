import { defineScript, type RedisScript } from '../redis-script.ts';
import { sessionLua } from './lua-session.ts';

/**
 * Puts a changed record in the place of the one that it was made from.
 *
 * KEYS  1 session, 2 values
 * ARGV  1 now or '', 2 idle ms, 3 last 22 characters of the sealed record that was changed, 4 sealed record,
 *       5 its absolute end in 16 digits
 * Result  nil: no such session; 1: replaced; 0: another writer was first
 *
 * Closes the race of two instances that change one record: the second sees that its record is not the present one
 * any more. The idle clock stays as it is, so a change is no use of the session.
 */
export const replaceSession: RedisScript = defineScript(
  'replace-session',
  `${sessionLua}
local text = redis.call('GET', KEYS[1])
if not text or isOver(text, clock(ARGV[1]), tonumber(ARGV[2])) then return false end
if string.sub(text, -22) ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], string.sub(text, 1, 13) .. ARGV[5] .. ARGV[4], 'KEEPTTL')
if string.sub(text, 14, 29) ~= ARGV[5] then
  local now = clock(ARGV[1])
  local usedAt = head(text)
  local ttlMs = toTtl(math.max(1, math.min(usedAt + tonumber(ARGV[2]), tonumber(ARGV[5])) - now), ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ttlMs)
  redis.call('PEXPIRE', KEYS[2], ttlMs)
end
return 1
`,
);
