/**
 * The one connection that every Redis adapter shares for its commands. Each command ends within a bound: with its
 * reply, or with an `UpstreamError`. One that was on its way when the connection broke may have run: it is not
 * repeated here, unless it only reads or says that it may be. One that certainly did not run (no connection, a replica or a loading server refused it) is tried
 * again until its time is up.
 */
import type { Logger } from '../telemetry/logger.ts';
import { CommandRunner, toBoundedCommands, type RedisCommands } from './redis-commands.ts';
import type { RedisLinkOptions } from './redis-link.ts';
import { openClusterLinks, openSingleLinks, toSingleLinks } from './redis-links.ts';
import type { RedisScript } from './redis-script.ts';
import { createClusterSubscriber } from './cluster-subscriber.ts';
import { createRedisSubscriber, type RedisSubscriber } from './redis-subscriber.ts';
import { loadRedisTls } from './redis-tls.ts';
import { parseRedisUrl } from '../config/redis-url.ts';

/** Where Redis is, and how long we wait for it. */
export interface RedisOptions {
  /** @see parseRedisUrl */
  readonly url: string;
  readonly logger: Logger;
  /** From the call to its reply, waiting for a connection included. Default 2,000. */
  readonly commandTimeoutMs?: number;
  /** For the first connection, and for each attempt of later ones. Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** What every key and channel of this server begins with. Default `mcp:`. */
  readonly prefix?: string;
  /** Milliseconds; never runs backwards. */
  readonly now?: () => number;
  /** Spreads the reconnections of many instances. At least 0, below 1. */
  readonly random?: () => number;
}

/** See the file's head. */
export interface RedisConnection {
  /** Each rejects with an `UpstreamError`. */
  readonly client: RedisCommands;
  /** What every key and channel of this server begins with, e.g. `mcp:`. */
  readonly prefix: string;
  /** Whether this is a cluster, where one script touches keys of one hash tag. */
  readonly isCluster: boolean;
  /**
   * Runs a script, by its hash if Redis knows it.
   *
   * @param keys every key that it touches; in a cluster all of one hash tag
   * @returns the reply as Redis gave it, text as strings
   * @throws UpstreamError
   */
  runScript(script: RedisScript, keys: readonly string[], args: readonly string[]): Promise<unknown>;
  /**
   * The commands of each master of the moment, to go through its keys with. In a cluster a command with a key fails
   * there once the key is elsewhere.
   */
  listMasters(): readonly RedisCommands[];
  /**
   * Sends to whoever is subscribed at this moment; in a cluster on the shard of the channel's slot alone.
   *
   * @throws UpstreamError
   */
  publish(channel: string, message: string): Promise<void>;
  /** A connection of its own that receives messages; ends with this one at the latest. */
  createSubscriber(): Promise<RedisSubscriber>;
  /** Resolves when Redis answers. @throws UpstreamError */
  check(): Promise<void>;
  /** Calls `listener` each time when the connection is there again. @returns a function that ends that */
  onReconnected(listener: () => void): () => void;
  /** Waits for the commands on their way, then ends. Can be called twice. */
  close(): Promise<void>;
}

/**
 * @throws UpstreamError when Redis does not answer within `connectTimeoutMs`; TypeError for a malformed URL; ConfigError
 *   for files of TLS that cannot be read
 */
export async function openRedis(options: RedisOptions): Promise<RedisConnection> {
  const target = parseRedisUrl(options.url);
  // A missing file must not look like a server that is away.
  await loadRedisTls(target.tls);
  const linkOptions: Omit<RedisLinkOptions, 'purpose'> = {
    target,
    logger: options.logger,
    commandTimeoutMs: options.commandTimeoutMs ?? 2000,
    connectTimeoutMs: options.connectTimeoutMs ?? 5000,
    now: options.now ?? (() => performance.now()),
    random: options.random ?? Math.random,
  };
  const isCluster = target.kind === 'cluster';
  const commandOptions: RedisLinkOptions = { ...linkOptions, purpose: 'commands' };
  const nodes = isCluster ? await openClusterLinks(commandOptions) : undefined;
  const links = nodes ?? (await openSingleLinks(commandOptions));
  const limits = { timeoutMs: linkOptions.commandTimeoutMs, now: linkOptions.now };
  const runner = new CommandRunner(links, limits);
  const client = toBoundedCommands(runner);
  const subscribers = new Set<RedisSubscriber>();
  return {
    client,
    prefix: options.prefix ?? 'mcp:',
    isCluster,
    runScript: (script, keys, args) => runner.runScript(script, keys, args),
    listMasters: () =>
      links.masters().map((link) => toBoundedCommands(new CommandRunner(toSingleLinks(link), limits))),
    publish: async (channel, message) => {
      await (isCluster ? client.sPublish(channel, message) : client.publish(channel, message));
    },
    createSubscriber: async () => {
      const messageOptions: RedisLinkOptions = { ...linkOptions, purpose: 'messages' };
      const subscriber =
        nodes === undefined
          ? await createRedisSubscriber(messageOptions)
          : createClusterSubscriber(messageOptions, nodes);
      subscribers.add(subscriber);
      return subscriber;
    },
    check: async () => {
      await client.ping();
    },
    onReconnected: (listener) => links.onReconnected(listener),
    close: async () => {
      await Promise.all([...subscribers].map((subscriber) => subscriber.close()));
      await runner.waitUntilIdle();
      links.close();
    },
  };
}
