/** What tests of the adapters on Redis share. */
import { createClient } from 'redis';
import { createSealedBox, type SealedBox } from '../../src/mcp/sealed-box.ts';
import { openRedis, type RedisConnection } from '../../src/redis/redis-connection.ts';
import { createLogger, type Logger } from '../../src/telemetry/logger.ts';
import { startRedis } from '../redis-server.ts';

/** A Redis with two connections, as two instances have them. */
export interface RedisBench {
  readonly doors: readonly [RedisConnection, RedisConnection];
  /** The same connections over a part of Redis that nobody used before. */
  openEmpty(): readonly [RedisConnection, RedisConnection];
  /** Every key that begins with `prefix`, and how long it will live; -1: for ever. */
  listKeys(prefix?: string): Promise<ReadonlyMap<string, number>>;
  stop(): Promise<void>;
}

/**
 * Starts a cluster of one node: it refuses a script whose keys are of several slots, and everything else that only a
 * single server would do.
 */
export async function startRedisBench(): Promise<RedisBench> {
  const server = await startRedis({ settings: [['cluster-enabled', 'yes']] });
  await assignSlots(server.url);
  const { logger } = createTestLog();
  const first = await openRedis({ url: server.url, logger });
  const second = await openRedis({ url: server.url, logger });
  let opened = 0;
  return {
    doors: [first, second],
    openEmpty: () => {
      opened += 1;
      const prefix = `t${opened}:`;
      return [
        { ...first, prefix },
        { ...second, prefix },
      ];
    },
    listKeys: async (prefix = '') => {
      const keys = new Map<string, number>();
      let cursor = '0';
      do {
        const page = await first.client.scan(cursor, { MATCH: `${prefix}*`, COUNT: 1000 });
        for (const key of page.keys) keys.set(key, await first.client.pTTL(key));
        ({ cursor } = page);
      } while (cursor !== '0');
      return keys;
    },
    stop: async () => {
      await first.close();
      await second.close();
      await server.stop();
    },
  };
}

async function assignSlots(url: string): Promise<void> {
  const client = createClient({ url });
  await client.connect();
  await client.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', '0', '16383']);
  while (!(await client.sendCommand<string>(['CLUSTER', 'INFO'])).includes('cluster_state:ok'))
    await new Promise((resolve) => setTimeout(resolve, 20));
  await client.close();
}

/** A box as all instances of one server have it. */
export function createTestBox(now?: () => number): SealedBox {
  return createSealedBox({
    keys: [{ id: 'k1', key: Buffer.alloc(32, 7) }],
    ...(now === undefined ? {} : { now }),
  });
}

/** A logger, and the names of the events that it was told. */
export function createTestLog(): { readonly logger: Logger; readonly events: readonly string[] } {
  const events: string[] = [];
  const logger = createLogger({
    level: 'warn',
    destination: { write: (line) => events.push((JSON.parse(line) as { event: string }).event) },
  });
  return { logger, events };
}
