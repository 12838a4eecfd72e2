/**
 * One node-redis client that stays connected: it reconnects with backoff and jitter, is cut when it has gone silent,
 * tells the log once per outage, and lets callers wait for it within a bound.
 */
import { createClient, type RedisClientOptions, type RedisClientType } from 'redis';
import { UpstreamError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { RedisTarget } from './redis-url.ts';

/** What a link is made with. Times in milliseconds. */
export interface RedisLinkOptions {
  readonly target: RedisTarget;
  /** What the connection is for, in the log. */
  readonly purpose: string;
  readonly logger: Logger;
  readonly commandTimeoutMs: number;
  readonly connectTimeoutMs: number;
  /** Milliseconds; never runs backwards. */
  readonly now: () => number;
  readonly random: () => number;
}

/** Most commands that wait for a connection at once; each waits `commandTimeoutMs` at most. */
const maxWaiting = 10_000;
/** Most commands on their way at once. */
const maxInFlight = 50_000;
const firstRetryMs = 50;
const maxRetryMs = 1000;
/** An idle connection is asked for a sign of life, and given up when neither side has said anything for so long. */
const pingIntervalMs = 5000;
const maxIdleMs = 10_000;
/** Cutting a connection again and again must not become a loop of its own. */
const minCutIntervalMs = 500;

/** See the file's head. */
export class RedisLink {
  readonly #options: RedisLinkOptions;
  readonly #client: RedisClientType;
  readonly #waiting = new Set<() => void>();
  readonly #readyListeners = new Set<() => void>();
  #downSince: number | undefined;
  #lastError: unknown;
  #lastReplyAt: number;
  #silentSince: number | undefined;
  #lastCutAt = Number.NEGATIVE_INFINITY;
  #wasReady = false;
  #isClosed = false;

  private constructor(options: RedisLinkOptions) {
    this.#options = options;
    this.#lastReplyAt = options.now();
    // The cast drops the type parameters of modules that are not used.
    this.#client = createClient(toClientOptions(options)) as RedisClientType;
    this.#client.on('error', (error: unknown) => this.#noteFailure(error));
    this.#client.on('ready', () => this.#noteReady());
  }

  /** @throws UpstreamError when there is no connection within `connectTimeoutMs` */
  static async open(options: RedisLinkOptions): Promise<RedisLink> {
    const link = new RedisLink(options);
    link.#connect();
    try {
      await link.waitUntilReady(options.now() + options.connectTimeoutMs);
    } catch (error) {
      link.close();
      throw error;
    }
    return link;
  }

  /** For its commands only; they are not bounded, and fail at once while there is no connection. */
  get client(): RedisClientType {
    return this.#client;
  }

  get isReady(): boolean {
    return this.#client.isReady && !this.#isClosed;
  }

  /** @param deadline by this link's clock @throws UpstreamError when it passes, and once this link is closed */
  async waitUntilReady(deadline: number): Promise<void> {
    if (this.#isClosed) throw new UpstreamError('redis', 'The connection to Redis is closed');
    if (this.isReady) return;
    const remainingMs = deadline - this.#options.now();
    if (remainingMs <= 0 || this.#waiting.size >= maxWaiting) throw this.#toUnreachable();
    await new Promise<void>((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(settle);
        if (this.isReady) resolve();
        else reject(this.#toUnreachable());
      };
      const timer = setTimeout(settle, remainingMs);
      this.#waiting.add(settle);
    });
  }

  /** Calls `listener` at every connection after the first. @returns a function that ends that */
  onReconnected(listener: () => void): () => void {
    this.#readyListeners.add(listener);
    return () => this.#readyListeners.delete(listener);
  }

  /** To be told of each reply, so that a silent connection can be told from a slow command. */
  noteReply(): void {
    this.#lastReplyAt = this.#options.now();
    this.#silentSince = undefined;
  }

  /**
   * To be told of each command that ran out of time. A server that has vanished without a word, or hangs, takes
   * commands for a quarter of an hour: the connection is made again once nothing came back for two timeouts.
   */
  noteTimeout(sentAt: number): void {
    if (this.#lastReplyAt > sentAt) return;
    this.#silentSince ??= sentAt;
    if (this.#options.now() - this.#silentSince >= 2 * this.#options.commandTimeoutMs)
      this.reconnect('silent');
  }

  /** Makes the connection again, at once, perhaps to another server; what is on its way fails. */
  reconnect(reason: 'silent' | 'read_only'): void {
    const now = this.#options.now();
    // While it is not ready, the client is at it already.
    if (!this.isReady || now - this.#lastCutAt < minCutIntervalMs) return;
    this.#lastCutAt = now;
    this.#downSince ??= now;
    this.#options.logger.warn('redis.connection_given_up', { purpose: this.#options.purpose, reason });
    this.#client.destroy();
    this.#connect();
  }

  /** Ends at once; what is on its way or waits fails. Can be called twice. */
  close(): void {
    this.#isClosed = true;
    for (const settle of this.#waiting) settle();
    this.#client.destroy();
  }

  #connect(): void {
    this.#silentSince = undefined;
    // It retries for ever, and tells of failures by its events; this rejects only when it is destroyed meanwhile.
    this.#client.connect().catch(() => undefined);
  }

  #noteFailure(error: unknown): void {
    this.#lastError = error;
    if (this.#isClosed || this.isReady || this.#downSince !== undefined) return;
    this.#downSince = this.#options.now();
    const { purpose, logger } = this.#options;
    logger.warn('redis.connection_lost', {
      purpose,
      problem: error instanceof Error ? error.message : 'unknown',
    });
  }

  #noteReady(): void {
    this.noteReply();
    if (this.#downSince !== undefined) {
      const downMs = Math.round(this.#options.now() - this.#downSince);
      this.#downSince = undefined;
      this.#options.logger.info('redis.connected', { purpose: this.#options.purpose, downMs });
    }
    for (const settle of this.#waiting) settle();
    const isFirst = !this.#wasReady;
    this.#wasReady = true;
    if (!isFirst) for (const listener of this.#readyListeners) listener();
  }

  #toUnreachable(): UpstreamError {
    return new UpstreamError('redis', 'Redis cannot be reached', { cause: this.#lastError });
  }
}

function toClientOptions(options: RedisLinkOptions): RedisClientOptions {
  const { target, connectTimeoutMs, random } = options;
  const [node] = target.nodes;
  return {
    socket: {
      host: node.host,
      port: node.port,
      ...(target.isTls ? { tls: true as const, servername: node.host } : {}),
      connectTimeout: connectTimeoutMs,
      socketTimeout: maxIdleMs,
      reconnectStrategy: (retries) => {
        const ceilingMs = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(retries, 10));
        return Math.ceil(ceilingMs * (0.5 + random() / 2));
      },
    },
    ...(target.username === undefined ? {} : { username: target.username }),
    ...(target.password === undefined ? {} : { password: target.password }),
    database: target.database,
    pingInterval: pingIntervalMs,
    commandsQueueMaxLength: maxInFlight,
    // Waiting is bounded in number and time by `waitUntilReady` instead.
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
  };
}
