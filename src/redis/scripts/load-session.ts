import { defineScript, type RedisScript } from '../redis-script.ts';
import { sessionLua } from './lua-session.ts';

/**
 * Gives a session's record, and restarts its idle clock. That a busy session writes nothing at most calls is what one
 * Redis, its replicas and its append-only file carry the more of.
 *
 * KEYS  1 session, 2 values
 * ARGV  1 now or '', 2 idle ms, 3 last 22 characters of the sealed record that the caller has opened before, or '',
 *       4 restarts the idle clock where the last use is so many ms ago; '': it is no use
 * Result  nil: no such session; 1: the record is the one that the caller has; otherwise absolute end in 16 digits,
 *         then the sealed record
 *
 * Closes the race of a session that expires between being read and being prolonged: it is one or the other. The
 * characters are those of the authentication tag, which no two records share.
 */
export const loadSession: RedisScript = defineScript(
  'load-session',
  `${sessionLua}
local text = redis.call('GET', KEYS[1])
if not text then return false end
local now = clock(ARGV[1])
local idleTtlMs = tonumber(ARGV[2])
local usedAt, expiresAt = head(text)
if now >= usedAt + idleTtlMs or now >= expiresAt then return false end
if ARGV[4] ~= '' and now - usedAt >= tonumber(ARGV[4]) then
  local ttlMs = toTtl(math.min(idleTtlMs, expiresAt - now), ARGV[1])
  redis.call('SETRANGE', KEYS[1], 0, string.format('%013d', now))
  redis.call('PEXPIRE', KEYS[1], ttlMs)
  redis.call('PEXPIRE', KEYS[2], ttlMs)
end
if ARGV[3] ~= '' and string.sub(text, -22) == ARGV[3] then return 1 end
return string.sub(text, 14)
`,
  { isRepeatable: true },
);
