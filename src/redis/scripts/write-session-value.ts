import { defineScript, type RedisScript } from '../redis-script.ts';
import { sessionLua } from './lua-session.ts';

/**
 * Writes or removes one application value, if its version is still the one that the writer knows.
 *
 * `values` is a hash: `.version`, the last one given; `.bytes`, of all values together; and the fields.
 *
 * KEYS  1 session, 2 values
 * ARGV  1 now or '', 2 idle ms, 3 field, 4 expected version (0: absent), 5 sealed value or '' to remove it,
 *       6 what it counts for in bytes, 7 most bytes together
 * Result  1: written; 0: another writer was first, or no such session; text: too large, what it would have come to
 *
 * Closes the races of two writers of one value, of writers of several values that together pass the bound, and of a
 * value removed and written anew, which has another version.
 */
export const writeSessionValue: RedisScript = defineScript(
  'write-session-value',
  `${sessionLua}
local text = redis.call('GETRANGE', KEYS[1], 0, 28)
if text == '' or isOver(text, clock(ARGV[1]), tonumber(ARGV[2])) then return 0 end
local present = redis.call('HGET', KEYS[2], ARGV[3])
local version, size = '0', '0'
if present then version, size = string.match(present, '^(%d+) (%d+) ') end
if tonumber(version) ~= tonumber(ARGV[4]) then return 0 end
local bytes = tonumber(redis.call('HGET', KEYS[2], '.bytes') or 0) - tonumber(size)
if ARGV[5] == '' then
  if present then
    redis.call('HDEL', KEYS[2], ARGV[3])
    redis.call('HSET', KEYS[2], '.bytes', bytes)
  end
  return 1
end
bytes = bytes + tonumber(ARGV[6])
if bytes > tonumber(ARGV[7]) then return string.format('%d', bytes) end
local nextVersion = redis.call('HINCRBY', KEYS[2], '.version', 1)
redis.call('HSET', KEYS[2], ARGV[3], nextVersion .. ' ' .. ARGV[6] .. ' ' .. ARGV[5], '.bytes', bytes)
redis.call('PEXPIRE', KEYS[2], redis.call('PTTL', KEYS[1]))
return 1
`,
);
