import { defineScript, type RedisScript } from '../redis-script.ts';
import { sessionLua } from './lua-session.ts';
import { streamsLua } from './lua-streams.ts';

/**
 * Reads what follows an event on its stream, and keeps the stream for longer.
 *
 * KEYS  1 streams, 2 the stream
 * ARGV  1 now or '', 2 stream id, 3 id of the event, 4 most events, 5 how long a complete stream stays in ms, 6 how long
 *       a stream stays without use in ms
 * Result  nil: the event is not, or no longer, there; otherwise a list: 1 when nothing can follow, else 0; then id and
 *         sealed text of each event
 *
 * Closes the race of a stream that is trimmed or completed while it is read: the cursor is looked for in the same moment
 * as what follows it. That the cursor itself is gone is the only sure sign of a gap: trimming leaves no other trace.
 */
export const readEvents: RedisScript = defineScript(
  'read-events',
  `${sessionLua}${streamsLua}
local state = redis.call('HGET', KEYS[1], '=' .. ARGV[2])
if not state then return false end
local completedAt, _, last = parseStream(state)
local retainMs, idleTtlMs = tonumber(ARGV[5]), tonumber(ARGV[6])
if completedAt > 0 and clock(ARGV[1]) >= completedAt + retainMs then return false end
local found = redis.call('XRANGE', KEYS[2], ARGV[3], '+', 'COUNT', tonumber(ARGV[4]) + 1)
if #found == 0 or found[1][1] ~= ARGV[3] then return false end
redis.call('PEXPIRE', KEYS[1], math.max(idleTtlMs, retainMs))
if completedAt == 0 then redis.call('PEXPIRE', KEYS[2], idleTtlMs) end
local reply = { completedAt > 0 and found[#found][1] == last and 1 or 0 }
for index = 2, #found do
  reply[#reply + 1] = found[index][1]
  reply[#reply + 1] = found[index][2][2]
end
return reply
`,
);
