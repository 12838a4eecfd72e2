/** Every port that instances share, on one Redis. */
import type { Config } from '../config/config.ts';
import type { SealedBox } from '../mcp/sealed-box.ts';
import type { Sharing } from '../sessions/sharing.ts';
import type { Logger } from '../telemetry/logger.ts';
import { openRedis } from './redis-connection.ts';
import { createRedisEventLog } from './redis-event-log.ts';
import { createRedisInstances } from './redis-instances.ts';
import { createRedisMessageBus } from './redis-message-bus.ts';
import { createRedisSessionStore } from './redis-session-store.ts';

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
  const sessions = createRedisSessionStore({
    redis,
    box,
    logger,
    idleTtlMs,
    maxPerPrincipal: config.sessions.maxSessionsPerPrincipal,
  });
  const events = createRedisEventLog({
    redis,
    box,
    logger,
    idleTtlMs,
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
    close: async () => {
      await instances.close();
      await Promise.all([bus.close(), events.close(), sessions.close()]);
      await redis.close();
    },
  };
}
