import { defineScript, type RedisScript } from '../redis-script.ts';

/**
 * Puts a record sealed with another key in the place of the one that it was made from.
 *
 * KEYS  1 session
 * ARGV  1 last 22 characters of the sealed record that was opened, 2 sealed record
 * Result  1: replaced; 0: changed or gone in the meantime
 *
 * Closes the race with an instance that changes the record: whoever is second sees that its record is not the present one
 * any more. The clocks and the time to live stay as they are.
 */
export const resealRecord: RedisScript = defineScript(
  'reseal-record',
  `
local text = redis.call('GET', KEYS[1])
if not text or string.sub(text, -22) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], string.sub(text, 1, 29) .. ARGV[2], 'KEEPTTL')
return 1
`,
);
