/** Every command that `src/redis` sends is one of Redis 7.0, whatever newer Redis the tests run on. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from 'redis';
import { expect, test } from 'vitest';
import { findRedis } from '../redis-server.ts';

const sources = new URL('../../src/redis/', import.meta.url).pathname;
/** What node-redis sends by itself, as we have set it up, and commands that have another name in its interface. */
const sentByClient = [
  'HELLO',
  'AUTH',
  'SELECT',
  'PING',
  'SUBSCRIBE',
  'UNSUBSCRIBE',
  'SSUBSCRIBE',
  'SUNSUBSCRIBE',
];
const otherNames: Readonly<Record<string, string>> = { RPOPCOUNT: 'RPOP' };
/** The command of a Sentinel, which data servers do not know. It has been there since 2.8. */
const ofSentinels = 'SENTINEL';

/** Where the sources name a command: in scripts, as raw words, and in the list of those that adapters may use. */
const places = [/redis\.call\('([A-Z]+)'/g, /\['([A-Z]{3,})'[,\]]/g, /^ {2}\| '([a-zA-Z]+)'$/gm];

async function readNames(): Promise<ReadonlySet<string>> {
  const names = new Set(sentByClient);
  for (const file of await readdir(sources, { recursive: true })) {
    if (!file.endsWith('.ts') || file.endsWith('.test.ts')) continue;
    const text = await readFile(join(sources, file), 'utf8');
    for (const place of places) {
      for (const [, name = ''] of text.matchAll(place))
        names.add(otherNames[name.toUpperCase()] ?? name.toUpperCase());
    }
  }
  names.delete(ofSentinels);
  return names;
}

test('every command is one of Redis 7.0', async () => {
  const names = await readNames();
  // One of each place, so that a pattern that finds nothing any more is noticed.
  for (const name of ['ZREMRANGEBYSCORE', 'ASKING', 'GETDEL']) expect(names).toContain(name);
  const shared = await findRedis();
  // The older protocol gives lists of names and values.
  const client = createClient({ url: shared.url, RESP: 2 });
  try {
    await client.connect();
    const tooNew: string[] = [];
    for (const name of names) {
      const docs = await client.sendCommand<unknown>(['COMMAND', 'DOCS', name]);
      const since = /"since","(\d+\.\d+)\.\d+"/.exec(JSON.stringify(docs))?.[1];
      if (since === undefined || Number(since) > 7) tooNew.push(`${name}: ${since ?? 'unknown'}`);
    }
    expect(tooNew).toEqual([]);
  } finally {
    client.destroy();
    await shared.stop();
  }
});
