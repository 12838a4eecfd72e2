import { defineScript, type RedisScript } from '../redis-script.ts';
import { sessionLua } from './lua-session.ts';

/**
 * Brings a principal's sessions back to the cap: takes the longest-idle out of the count, to be ended by the caller.
 *
 * KEYS  1 sessions of the principal
 * ARGV  1 now or '', 2 cap, 3 how many to look at beyond the excess, 4 most to look at, 5 how long a session may take to
 *       be written in ms, 6 the caller's own new member, then pairs: a member that the caller looked at; when its session was last used,
 *       or 'over', or 'absent'
 * Result  two lists: members taken out; members to look at next, empty when the cap is kept
 *
 * Closes the race of several instances that evict at once: a member is taken out by one of them, and the count is taken
 * in the same moment, so never more than the excess. Scores only lag behind: a member that was looked at and still has
 * the lowest score is the longest idle. One that is absent but new is being written elsewhere: it counts, and stays.
 */
export const evictPrincipalSessions: RedisScript = defineScript(
  'evict-principal-sessions',
  `${sessionLua}
local now = clock(ARGV[1])
local cap = tonumber(ARGV[2])
local known = { [ARGV[6]] = 'kept' }
for index = 7, #ARGV, 2 do
  local member, use = ARGV[index], ARGV[index + 1]
  if use == 'over' then
    redis.call('ZREM', KEYS[1], member)
  elseif use == 'absent' then
    local score = tonumber(redis.call('ZSCORE', KEYS[1], member) or 0)
    if score <= now - tonumber(ARGV[5]) then
      redis.call('ZREM', KEYS[1], member)
    else
      known[member] = 'kept'
    end
  elseif member ~= ARGV[6] then
    redis.call('ZADD', KEYS[1], 'XX', 'GT', use, member)
    known[member] = 'idle'
  end
end

local excess = redis.call('ZCARD', KEYS[1]) - cap
local evicted = {}
if excess <= 0 then return { evicted, {} } end
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, #ARGV)) do
  if known[member] == nil then
    local look = math.min(excess - #evicted + tonumber(ARGV[3]), tonumber(ARGV[4]))
    return { evicted, redis.call('ZRANGE', KEYS[1], 0, look - 1) }
  end
  if known[member] == 'idle' then
    redis.call('ZREM', KEYS[1], member)
    evicted[#evicted + 1] = member
    if #evicted == excess then return { evicted, {} } end
  end
end
return { evicted, {} }
`,
);
