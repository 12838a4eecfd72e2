import { defineScript, type RedisScript } from '../redis-script.ts';
import { streamsLua } from './lua-streams.ts';

/**
 * Forgets every stream of a session, and marks it as ended.
 *
 * KEYS  1 ended, 2 streams
 * ARGV  1 how long the mark stands in ms, 2 prefix of stream keys
 * Result  1
 *
 * Closes the race of an event that is appended while its session ends: see `end-session`.
 */
export const endStreams: RedisScript = defineScript(
  'end-streams',
  `${streamsLua}
forgetStreams(KEYS[2], ARGV[2])
redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
return 1
`,
  { isRepeatable: true },
);
