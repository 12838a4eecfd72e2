import type { RedisConnection } from './redis-connection.ts';

/** Keys looked at per step: Redis is held up for well under a millisecond. */
const keysPerStep = 250;

/**
 * Goes through the keys that begin with a prefix, on every master, in batches. Each key that is there all the while comes
 * at least once, perhaps more often; where keys move between masters, or a master fails over, some may not come.
 *
 * @param prefix without characters that mean something in a pattern
 */
export async function* scanKeys(redis: RedisConnection, prefix: string): AsyncGenerator<readonly string[]> {
  for (const master of redis.listMasters()) {
    let cursor = '0';
    do {
      const page = await master.scan(cursor, { MATCH: `${prefix}*`, COUNT: keysPerStep });
      if (page.keys.length > 0) yield page.keys;
      ({ cursor } = page);
    } while (cursor !== '0');
  }
}
