import { createSealedBox, type SealingKey } from '../mcp/sealed-box.ts';
import { createLocks } from '../sessions/locks-on-table.ts';
import type { Logger } from '../telemetry/logger.ts';
import { openRedis } from './redis-connection.ts';
import { createRedisLockTable } from './redis-lock-table.ts';
import { type RekeyProgress, rekeySessions, type RekeySummary } from './rekey-sessions.ts';
import { SessionSeal } from './session-seal.ts';

/** What rekeying a Redis takes. */
export interface RekeyOnRedisOptions {
  /** See `parseRedisUrl`. */
  readonly url: string;
  /** The first seals, all open. */
  readonly keys: readonly [SealingKey, ...SealingKey[]];
  readonly logger: Logger;
  readonly onProgress: (progress: RekeyProgress) => void;
}

const lockName = 'sessions.rekey';
const lockTtlMs = 10_000;
/** Longer than the time to live: one that was killed and is run again gets the lock. */
const lockWaitMs = 15_000;

/**
 * See `rekeySessions`. One at a time, over all machines.
 *
 * @returns `undefined` when another one is running
 * @throws UpstreamError when Redis cannot be reached; what was done stays done
 */
export async function rekeyOnRedis(options: RekeyOnRedisOptions): Promise<RekeySummary | undefined> {
  const { url, keys, logger, onProgress } = options;
  const redis = await openRedis({ url, logger });
  try {
    const locks = createLocks(createRedisLockTable({ redis }));
    const [first, ...others] = keys;
    const outcome = await locks.withLock(lockName, { ttlMs: lockTtlMs, waitMs: lockWaitMs }, ({ signal }) =>
      rekeySessions({
        redis,
        seal: new SessionSeal(createSealedBox({ keys }), logger),
        keyIds: [first.id, ...others.map(({ id }) => id)],
        signal,
        onProgress,
      }),
    );
    return outcome.kind === 'done' ? outcome.value : undefined;
  } finally {
    await redis.close();
  }
}
