/** Every port that instances share, on one Redis. */
import { createHash } from 'node:crypto';
import type { Config } from '../config/config.ts';
import type { SealedBox } from '../mcp/sealed-box.ts';
import { createLocks } from '../sessions/locks-on-table.ts';
import type { Sharing } from '../sessions/sharing.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createRedisClaims } from './redis-claims.ts';
import { openRedis } from './redis-connection.ts';
import { createRedisEventLog } from './redis-event-log.ts';
import { createRedisInstances } from './redis-instances.ts';
import { createRedisLimits } from './redis-limits.ts';
import { createRedisLockTable } from './redis-lock-table.ts';
import { createRedisMessageBus } from './redis-message-bus.ts';
import { createRedisReplayGuard } from './redis-replay-guard.ts';
import { createRedisSessionStore } from './redis-session-store.ts';
import { createRedisValidatedTokens } from './redis-validated-tokens.ts';

const minEndedTtlMs = 15 * 60_000;

/** What sharing over Redis is made of. */
export interface OnRedisOptions {
  /** See `parseRedisUrl`. */
  readonly url: string;
  readonly config: Config;
  /** Seals what rests in Redis. */
  readonly box: SealedBox;
  readonly logger: Logger;
  readonly instanceId: string;
}

/** @throws UpstreamError when Redis does not answer */
export async function openOnRedis(options: OnRedisOptions): Promise<Sharing> {
  const { config, logger, box, url, instanceId } = options;
  const redis = await openRedis({ url, logger });
  const idleTtlMs = config.sessions.sessionIdleTtlSeconds * 1000;
  // A call that outlives its session's end must not begin a stream anew.
  const endedTtlMs = Math.max(minEndedTtlMs, 2 * config.calls.callTimeoutMs);
  const sessions = createRedisSessionStore({
    redis,
    box,
    logger,
    idleTtlMs,
    endedTtlMs,
    maxPerPrincipal: config.sessions.maxSessionsPerPrincipal,
  });
  const events = createRedisEventLog({
    redis,
    box,
    logger,
    idleTtlMs,
    endedTtlMs,
    maxEventsPerStream: config.streams.eventLogMaxEvents,
  });
  const bus = await createRedisMessageBus({
    redis,
    box,
    onError: (error) => {
      logger.error('bus.listener_failed', {}, error);
    },
  });
  const instances = createRedisInstances({ redis, instanceId, logger });
  await instances.announce();
  return {
    sessions,
    events,
    bus,
    instances,
    replays: createRedisReplayGuard(redis),
    validatedTokens: createRedisValidatedTokens({
      redis,
      box,
      trust: createHash('sha256').update(JSON.stringify(config.tokens.trustedIssuers)).digest('base64url'),
    }),
    limits: createRedisLimits({ redis }),
    locks: createLocks(createRedisLockTable({ redis })),
    claims: createRedisClaims({ redis }),
    close: async () => {
      await instances.close();
      await Promise.all([bus.close(), events.close(), sessions.close()]);
      await redis.close();
    },
  };
}
