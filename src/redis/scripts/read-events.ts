import { defineScript, type RedisScript } from '../redis-script.ts';
import { sessionLua } from './lua-session.ts';
import { streamsLua } from './lua-streams.ts';

/**
 * Reads what follows an event on its stream, and keeps the stream for longer.
 *
 * KEYS  1 streams, 2 the stream
 * ARGV  1 now or '', 2 stream id, 3 epoch and 4 position of the event, 5 most events, 6 how long a complete stream stays
 *       in ms, 7 how long a stream stays without use in ms
 * Result  nil: the event is not, or no longer, there; otherwise a list: 1 when nothing can follow, else 0; then the
 *         events that follow, whose positions follow each other: a number, a space, and the sealed text
 *
 * Closes the race of a stream that is trimmed or completed while it is read: the cursor is looked for in the same moment
 * as what follows it.
 */
export const readEvents: RedisScript = defineScript(
  'read-events',
  `${sessionLua}${streamsLua}
local state = redis.call('HGET', KEYS[1], '=' .. ARGV[2])
if not state then return false end
local known = parseStream(state)
local position, retainMs, idleTtlMs = tonumber(ARGV[4]), tonumber(ARGV[6]), tonumber(ARGV[7])
local isComplete = known.completedAt > 0
if isComplete and clock(ARGV[1]) >= known.completedAt + retainMs then return false end
if known.epoch ~= tonumber(ARGV[3]) or position < known.first or position >= known.next then return false end
if not isWhole(KEYS[2], known) then return false end
redis.call('PEXPIRE', KEYS[1], toTtl(math.max(idleTtlMs, retainMs), ARGV[1]))
if not isComplete then redis.call('PEXPIRE', KEYS[2], toTtl(idleTtlMs, ARGV[1])) end
local last = math.min(position + tonumber(ARGV[5]), known.next - 1)
local reply = { isComplete and last == known.next - 1 and 1 or 0 }
if last == position then return reply end
for _, event in ipairs(redis.call('LRANGE', KEYS[2], position + 1 - known.first, last - known.first)) do
  reply[#reply + 1] = event
end
return reply
`,
  { isRepeatable: true },
);
