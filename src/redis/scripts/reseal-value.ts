import { defineScript, type RedisScript } from '../redis-script.ts';

/**
 * Puts an application value sealed with another key in the place of the one that it was made from.
 *
 * KEYS  1 values
 * ARGV  1 field, 2 last 22 characters of the sealed value that was opened, 3 sealed value
 * Result  1: replaced; 0: written or removed in the meantime
 *
 * Closes the race with an instance that writes the value. Its version and what it counts for stay as they are: to those
 * who compare and swap it is the same value.
 */
export const resealValue: RedisScript = defineScript(
  'reseal-value',
  `
local present = redis.call('HGET', KEYS[1], ARGV[1])
if not present or string.sub(present, -22) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], string.match(present, '^%d+ %d+ ') .. ARGV[3])
return 1
`,
);
