import { defineScript, type RedisScript } from '../redis-script.ts';
import { streamsLua } from './lua-streams.ts';

/**
 * Puts events sealed with another key in the place of those that they were made from.
 *
 * KEYS  1 streams, 2 the stream
 * ARGV  1 stream id, then for each event: its position, the last 22 characters of what was opened, the sealed event
 * Result  how many were replaced; the others are gone
 *
 * Closes the race with an instance that trims, ends or begins the stream anew: what is at a position now is replaced only
 * if it is what was opened. Sealed texts of one message are equally long, so that the bytes counted stay right; one that
 * is not is left alone.
 */
export const resealEvents: RedisScript = defineScript(
  'reseal-events',
  `${streamsLua}
local state = redis.call('HGET', KEYS[1], '=' .. ARGV[1])
if not state then return 0 end
local known = parseStream(state)
if not isWhole(KEYS[2], known) then return 0 end
local replaced = 0
for index = 2, #ARGV, 3 do
  local at = tonumber(ARGV[index]) - known.first
  local event = at >= 0 and redis.call('LINDEX', KEYS[2], at)
  if event and string.sub(event, -22) == ARGV[index + 1] then
    local renewed = string.match(event, '^%d+ ') .. ARGV[index + 2]
    if #renewed == #event then
      redis.call('LSET', KEYS[2], at, renewed)
      replaced = replaced + 1
    end
  end
end
return replaced
`,
  { isRepeatable: true },
);
