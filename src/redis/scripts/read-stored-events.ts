import { defineScript, type RedisScript } from '../redis-script.ts';
import { streamsLua } from './lua-streams.ts';

/**
 * Reads events of a stream as they rest, without prolonging it.
 *
 * KEYS  1 streams, 2 the stream
 * ARGV  1 stream id, 2 position to begin at, 3 most events
 * Result  nil: nothing there; otherwise a list: the position of the first event that follows, the position that the next
 *         event of the stream will have, then the events
 *
 * Closes the race of a stream that is trimmed while it is read: the events are those at these positions.
 */
export const readStoredEvents: RedisScript = defineScript(
  'read-stored-events',
  `${streamsLua}
local state = redis.call('HGET', KEYS[1], '=' .. ARGV[1])
if not state then return false end
local known = parseStream(state)
if not isWhole(KEYS[2], known) then return false end
local from = math.max(tonumber(ARGV[2]), known.first)
if from >= known.next then return false end
local reply = { from, known.next }
for _, event in ipairs(redis.call('LRANGE', KEYS[2], from - known.first, from - known.first + ARGV[3] - 1)) do
  reply[#reply + 1] = event
end
return reply
`,
  { isRepeatable: true },
);
