/**
 * What the instances of one server share: sessions, streams, messages, limits, locks. In this process, or on Redis.
 */
import { MemoryReplayGuard } from './auth/dpop/memory-replay-guard.ts';
import type { Config, Secrets } from './config/config.ts';
import { ConfigError } from './errors.ts';
import { type SealedBox, type SealingKey, toSealingKey } from './mcp/sealed-box.ts';
import { createMemoryLimits } from './policy/memory-limits.ts';
import { createLocks } from './sessions/locks-on-table.ts';
import { createMemoryClaims } from './sessions/memory-claims.ts';
import { createMemoryEventLog } from './sessions/memory-event-log.ts';
import { createMemoryInstances } from './sessions/memory-instances.ts';
import { createMemoryLockTable } from './sessions/memory-lock-table.ts';
import { createMemoryMessageBus } from './sessions/memory-message-bus.ts';
import { createMemorySessionStore } from './sessions/memory-session-store.ts';
import type { RekeyProgress, RekeySummary } from './redis/rekey-sessions.ts';
import type { Sharing } from './sessions/sharing.ts';
import type { Logger } from './telemetry/logger.ts';

/** What sharing is made of. */
export interface SharingOptions {
  readonly config: Config;
  readonly secrets: Secrets;
  /** Seals what rests outside this process. */
  readonly box: SealedBox;
  readonly logger: Logger;
  readonly instanceId: string;
}

/** @throws UpstreamError when Redis is configured and cannot be reached */
export async function openSharing(options: SharingOptions): Promise<Sharing> {
  const { redisUrl } = options.secrets;
  // Over stdio there is one client and one instance.
  if (redisUrl === undefined || options.config.server.transport === 'stdio') return openInProcess(options);
  // Loaded only where it is used: the driver is a good part of a start.
  const { openOnRedis } = await import('./redis/open-on-redis.ts');
  return openOnRedis({ ...options, url: redisUrl.reveal() });
}

/** The keys that all instances seal and open with: the first seals. */
export function toSealingKeys({ encryptionKeys }: Secrets): readonly [SealingKey, ...SealingKey[]] {
  const [first, ...others] = encryptionKeys.map((key) =>
    toSealingKey(Buffer.from(key.reveal()).toString('hex')),
  );
  // `encryptionKeys` is never empty.
  return [first as SealingKey, ...others];
}

/**
 * Seals what instances share with the first of the keys, while they serve.
 *
 * @returns `undefined` when it is being done already
 * @throws ConfigError without Redis: what is in a process ends with it
 * @throws UpstreamError when Redis cannot be reached
 */
export async function rekeySharing(options: {
  readonly secrets: Secrets;
  readonly logger: Logger;
  readonly onProgress: (progress: RekeyProgress) => void;
}): Promise<RekeySummary | undefined> {
  const { redisUrl } = options.secrets;
  if (redisUrl === undefined) {
    const problem = 'is needed: without Redis, sessions are in a process and end with it';
    throw new ConfigError([{ setting: 'REDIS_URL', problem }]);
  }
  const { rekeyOnRedis } = await import('./redis/rekey-on-redis.ts');
  return rekeyOnRedis({ ...options, url: redisUrl.reveal(), keys: toSealingKeys(options.secrets) });
}

async function openInProcess({ config, logger, instanceId }: SharingOptions): Promise<Sharing> {
  const idleTtlMs = config.sessions.sessionIdleTtlSeconds * 1000;
  const sessions = createMemorySessionStore({
    idleTtlMs,
    maxPerPrincipal: config.sessions.maxSessionsPerPrincipal,
  });
  const events = createMemoryEventLog({ maxEventsPerStream: config.streams.eventLogMaxEvents, idleTtlMs });
  const bus = createMemoryMessageBus({
    onError: (error) => {
      logger.error('bus.listener_failed', {}, error);
    },
  });
  const instances = createMemoryInstances(instanceId);
  await instances.announce();
  return {
    sessions,
    events,
    bus,
    instances,
    replays: new MemoryReplayGuard(),
    limits: createMemoryLimits(),
    locks: createLocks(createMemoryLockTable()),
    claims: createMemoryClaims(),
    close: async () => {
      await Promise.all([instances.close(), bus.close(), events.close(), sessions.close()]);
    },
  };
}
