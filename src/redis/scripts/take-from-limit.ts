import { defineScript, type RedisScript } from '../redis-script.ts';
import { sessionLua } from './lua-session.ts';

/**
 * Takes from a limit, if there is enough; or looks what would come of it, and changes nothing.
 *
 * The value is what was taken and has not come back, and the moment when that was so: each cost counts `window`, and
 * `capacity` come back in a millisecond. Whole numbers below 2^53, so that nothing is rounded.
 *
 * KEYS  1 limit
 * ARGV  1 now or '', 2 capacity, 3 window in ms, 4 cost, 5 'take' or 'look'
 * Result  three numbers: 1 when it was taken, or could be, else 0; what remains; how long until the same cost is there, in ms
 *
 * Closes the race of two instances that each see the last one left. A clock that was put back lets nothing come back,
 * and does not hold up what comes back from now on.
 */
export const takeFromLimit: RedisScript = defineScript(
  'take-from-limit',
  `${sessionLua}
local now = clock(ARGV[1])
local capacity, windowMs, cost = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local full = capacity * windowMs
local level, at = 0, now
local text = redis.call('GET', KEYS[1])
if text then
  local storedLevel, storedAt = string.match(text, '^(%d+) (%d+)$')
  at = tonumber(storedAt)
  local elapsedMs = math.min(math.max(now - at, 0), windowMs)
  level = math.max(tonumber(storedLevel) - elapsedMs * capacity, 0)
end
local wanted = level + cost * windowMs
local isAllowed = wanted <= full
local isTaking = ARGV[5] == 'take'
if isTaking and isAllowed then level = wanted end
if isTaking and (isAllowed or at > now) then
  local ttlMs = math.max(math.ceil(level / capacity), 1)
  redis.call('SET', KEYS[1], string.format('%.0f %.0f', level, now), 'PX', string.format('%.0f', toTtl(ttlMs, ARGV[1])))
end
local retryAfterMs = isAllowed and 0 or math.ceil((wanted - full) / capacity)
return { isAllowed and 1 or 0, math.floor((full - level) / windowMs), retryAfterMs }
`,
);
