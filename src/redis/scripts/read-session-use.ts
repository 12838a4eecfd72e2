import { defineScript, type RedisScript } from '../redis-script.ts';
import { sessionLua } from './lua-session.ts';

/**
 * When a session was used last, without using it.
 *
 * KEYS  1 session, 2 ended
 * ARGV  1 now or '', 2 idle ms
 * Result  milliseconds since the epoch as text; 'over': it ended or expired; 'absent': expired, or not yet written
 *
 * Closes the race of a session that ends while it is looked at: record and mark are read as of one moment.
 */
export const readSessionUse: RedisScript = defineScript(
  'read-session-use',
  `${sessionLua}
local text = redis.call('GETRANGE', KEYS[1], 0, 28)
if text == '' then
  return redis.call('EXISTS', KEYS[2]) == 1 and 'over' or 'absent'
end
if isOver(text, clock(ARGV[1]), tonumber(ARGV[2])) then return 'over' end
return string.sub(text, 1, 13)
`,
  { isRepeatable: true },
);
