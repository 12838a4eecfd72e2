import { defineScript, type RedisScript } from '../redis-script.ts';
import { sessionLua } from './lua-session.ts';

/**
 * Counts a new session among its principal's, and says whom to look at when there are too many.
 *
 * A member is the session's absolute end, `:`, and its id. Its score is when the session was last seen used, which may
 * have been later since: a load does not come here, so a score never says too much.
 *
 * KEYS  1 sessions of the principal, 2 their first end
 * ARGV  1 now or '', 2 member, 3 absolute end, 4 cap, 5 how many to look at beyond the excess, 6 most to look at,
 *       7 longest life of the keys in ms, 8 most members to go through for those past their absolute end; of more, such
 *       a one may cost a living one its place
 * Result  the members with the lowest scores; empty while the cap is kept
 *
 * Closes the race of sessions opened at once on several instances: each sees all that were counted before it.
 */
export const addPrincipalSession: RedisScript = defineScript(
  'add-principal-session',
  `${sessionLua}
local now = clock(ARGV[1])
local expiresAt = tonumber(ARGV[3])
local cap = tonumber(ARGV[4])
redis.call('ZADD', KEYS[1], now, ARGV[2])
local firstEnd = tonumber(redis.call('GET', KEYS[2]) or 0)
if firstEnd == 0 and redis.call('ZCARD', KEYS[1]) == 1 then firstEnd = expiresAt end
firstEnd = math.min(firstEnd, expiresAt)

local count = redis.call('ZCARD', KEYS[1])
if count > cap and now >= firstEnd and count <= tonumber(ARGV[8]) then
  firstEnd = expiresAt
  for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    local ends = tonumber(string.match(member, '^%d+'))
    if ends <= now then
      redis.call('ZREM', KEYS[1], member)
    else
      firstEnd = math.min(firstEnd, ends)
    end
  end
end

local lifeMs = toTtl(math.min(expiresAt - now, tonumber(ARGV[7])), ARGV[1])
local ttlMs = math.max(1, lifeMs, redis.call('PTTL', KEYS[1]))
redis.call('SET', KEYS[2], string.format('%d', firstEnd), 'PX', ttlMs)
redis.call('PEXPIRE', KEYS[1], ttlMs)
local excess = redis.call('ZCARD', KEYS[1]) - cap
if excess <= 0 then return {} end
return redis.call('ZRANGE', KEYS[1], 0, math.min(excess + tonumber(ARGV[5]), tonumber(ARGV[6])) - 1)
`,
);
