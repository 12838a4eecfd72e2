import { defineScript, type RedisScript } from '../redis-script.ts';
import { sessionLua } from './lua-session.ts';

/**
 * Reads one application value of a living session.
 *
 * KEYS  1 session, 2 values
 * ARGV  1 now or '', 2 idle ms, 3 field
 * Result  nil, or `<version> <size> <sealed value>`
 *
 * Closes the race of a value that outlives its session by the moments between two expiries.
 */
export const readSessionValue: RedisScript = defineScript(
  'read-session-value',
  `${sessionLua}
local text = redis.call('GETRANGE', KEYS[1], 0, 28)
if text == '' or isOver(text, clock(ARGV[1]), tonumber(ARGV[2])) then return false end
return redis.call('HGET', KEYS[2], ARGV[3])
`,
  { isRepeatable: true },
);
