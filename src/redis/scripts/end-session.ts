import { defineScript, type RedisScript } from '../redis-script.ts';
import { sessionLua } from './lua-session.ts';
import { streamsLua } from './lua-streams.ts';

/**
 * Forgets a session with everything that belongs to it, and marks it as ended.
 *
 * KEYS  1 session, 2 values, 3 ended, 4 streams
 * ARGV  1 now or '', 2 idle ms, 3 how long the mark stands in ms, 4 prefix of stream keys, 5 who ends it: a text that
 *       no other call gives
 * Result  1; 0 when there was no living session, and then no mark is left
 *
 * Closes the race of a call that appends an event, or writes a value, while its session ends: it comes before and is
 * forgotten, or comes after and is refused. Sent again, it finds its own mark and says once more that it ended it.
 */
export const endSession: RedisScript = defineScript(
  'end-session',
  `${sessionLua}${streamsLua}
local text = redis.call('GET', KEYS[1])
if not text and redis.call('GET', KEYS[3]) == ARGV[5] then return 1 end
if not text or isOver(text, clock(ARGV[1]), tonumber(ARGV[2])) then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
forgetStreams(KEYS[4], ARGV[4])
redis.call('SET', KEYS[3], ARGV[5], 'PX', ARGV[3])
return 1
`,
  // Session ids are random and never given twice: what a repetition ends is what it was meant to end.
  { isRepeatable: true },
);
