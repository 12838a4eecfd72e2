/** Every port that instances share, on one Redis. */
import type { Sharing, SharingOptions } from '../sharing.ts';
import { openRedis } from './redis-connection.ts';
import { createRedisEventLog } from './redis-event-log.ts';
import { createRedisInstances } from './redis-instances.ts';
import { createRedisMessageBus } from './redis-message-bus.ts';
import { createRedisSessionStore } from './redis-session-store.ts';

/**
 * @param options.url see `parseRedisUrl`
 * @throws UpstreamError when Redis does not answer
 */
export async function openOnRedis(options: SharingOptions & { readonly url: string }): Promise<Sharing> {
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
