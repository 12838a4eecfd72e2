/**
 * One connection that is made again whenever it is lost: with backoff and jitter, each time to whatever is the master
 * by then. It is given up when it has gone silent, the log is told once per outage, and callers wait for it within a
 * bound. Each connection is a new node-redis client: its own reconnection neither asks sentinels nor bounds its
 * handshake.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, type RedisClientType } from 'redis';
import { UpstreamError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import { findMaster, requireMaster, toNodeOptions } from './redis-nodes.ts';
import { loadRedisTls } from './redis-tls.ts';
import type { RedisNode, RedisTarget } from '../config/redis-url.ts';

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
  /** At least 0, below 1. */
  readonly random: () => number;
}

/** Most commands that wait for a connection at once; each waits `commandTimeoutMs` at most. */
const maxWaiting = 10_000;
const firstRetryMs = 50;
/** Longest pause before a lost connection is tried again. */
export const maxRetryMs = 1000;
/** Giving a connection up again and again must not become a loop of its own. */
const minGiveUpIntervalMs = 500;

/** See the file's head. */
export class RedisLink {
  readonly #options: RedisLinkOptions;
  readonly #waiting = new Set<() => void>();
  readonly #reconnectListeners = new Set<() => void>();
  readonly #closing = new AbortController();
  #client: RedisClientType | undefined;
  #leave: (() => void) | undefined;
  #downSince: number | undefined;
  #lastError: unknown;
  #lastReplyAt: number;
  #silentSince: number | undefined;
  #lastGivenUpAt = Number.NEGATIVE_INFINITY;
  #wasReady = false;
  #attempts = 0;

  private constructor(options: RedisLinkOptions) {
    this.#options = options;
    this.#lastReplyAt = options.now();
  }

  /** One that has no connection yet. */
  static start(options: RedisLinkOptions): RedisLink {
    const link = new RedisLink(options);
    void link.#stayConnected();
    return link;
  }

  /** @throws UpstreamError when there is no connection within `connectTimeoutMs` */
  static async open(options: RedisLinkOptions): Promise<RedisLink> {
    const link = RedisLink.start(options);
    try {
      await link.waitUntilReady(options.now() + options.connectTimeoutMs);
    } catch (error) {
      link.close();
      throw error;
    }
    return link;
  }

  /**
   * The connection of the moment, another one after each outage. Its commands are not bounded.
   *
   * @throws UpstreamError while there is none
   */
  get client(): RedisClientType {
    if (this.#client === undefined) throw this.toUnreachable();
    return this.#client;
  }

  get isReady(): boolean {
    return this.#client?.isReady === true;
  }

  /** @param deadline by this link's clock @throws UpstreamError when it passes, and once this link is closed */
  async waitUntilReady(deadline: number): Promise<void> {
    if (!(await this.isReadyBy(deadline))) throw this.toUnreachable();
  }

  /** @param time by this link's clock @throws UpstreamError once this link is closed, and when too many wait */
  async isReadyBy(time: number): Promise<boolean> {
    if (this.#closing.signal.aborted) throw new UpstreamError('redis', 'The connection to Redis is closed');
    if (this.isReady) return true;
    const remainingMs = time - this.#options.now();
    if (this.#waiting.size >= maxWaiting) throw this.toUnreachable();
    if (remainingMs <= 0) return false;
    return new Promise<boolean>((resolve) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(settle);
        resolve(this.isReady);
      };
      const timer = setTimeout(settle, remainingMs);
      this.#waiting.add(settle);
    });
  }

  /** What to tell who waited in vain. */
  toUnreachable(): UpstreamError {
    return new UpstreamError('redis', 'Redis cannot be reached', { cause: this.#lastError });
  }

  /** Calls `listener` at every connection after the first. @returns a function that ends that */
  onReconnected(listener: () => void): () => void {
    this.#reconnectListeners.add(listener);
    return () => this.#reconnectListeners.delete(listener);
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
    if (this.#options.now() - this.#silentSince >= 2 * this.#options.commandTimeoutMs) this.giveUp('silent');
  }

  /** Makes the connection again, at once, perhaps to another server; what is on its way fails. */
  giveUp(reason: 'silent' | 'read_only' | 'garbled'): void {
    const now = this.#options.now();
    const isTooSoon = now - this.#lastGivenUpAt < minGiveUpIntervalMs;
    // What a garbled one says is not to be believed any longer.
    if (!this.isReady || (isTooSoon && reason !== 'garbled')) return;
    this.#lastGivenUpAt = now;
    this.#downSince ??= now;
    this.#options.logger.warn('redis.connection_given_up', { purpose: this.#options.purpose, reason });
    this.#leave?.();
  }

  /** Ends at once; what is on its way or waits fails. Can be called twice. */
  close(): void {
    this.#closing.abort();
    this.#leave?.();
    for (const settle of this.#waiting) settle();
  }

  async #stayConnected(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 0; !signal.aborted; failures += 1) {
      const client = await this.#connect().catch((error: unknown) => this.#noteFailure(error));
      if (client !== undefined) {
        failures = 0;
        await this.#stayOn(client);
      }
      const ceilingMs = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(failures, 10));
      await sleep(ceilingMs * (0.5 + this.#options.random() / 2), undefined, { signal }).catch(
        () => undefined,
      );
    }
  }

  async #connect(): Promise<RedisClientType> {
    const { target, connectTimeoutMs } = this.#options;
    const node = await this.#locate();
    // The cast drops the type parameters of modules that are not used.
    const client = createClient(
      toNodeOptions({
        node,
        credentials: target,
        database: target.database,
        tls: await loadRedisTls(target.tls),
        connectTimeoutMs,
      }),
    ) as RedisClientType;
    client.on('error', (error: unknown) => this.#noteFailure(error));
    const begin = async (): Promise<void> => {
      await client.connect();
      if (target.kind === 'sentinel') await requireMaster(client);
    };
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        () => reject(new Error('No connection within the time it may take')),
        connectTimeoutMs,
      );
      this.#leave = () => reject(new Error('The connection to Redis is closed'));
    });
    try {
      await Promise.race([begin(), tooLate]);
      return client;
    } catch (error) {
      client.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #locate(): Promise<RedisNode> {
    const { target, connectTimeoutMs } = this.#options;
    if (target.kind === 'sentinel') return findMaster(target, connectTimeoutMs);
    // In a cluster any node will do: this one receives messages, which all of them pass on.
    this.#attempts += 1;
    return target.nodes[(this.#attempts - 1) % target.nodes.length] ?? target.nodes[0];
  }

  /** Resolves when the connection is lost, given up or closed. */
  async #stayOn(client: RedisClientType): Promise<void> {
    await new Promise<void>((leave) => {
      this.#leave = leave;
      client.on('terminated', leave);
      if (this.#closing.signal.aborted || !client.isReady) {
        leave();
        return;
      }
      this.#client = client;
      this.#noteReady();
    });
    this.#client = undefined;
    this.#leave = undefined;
    client.destroy();
  }

  #noteFailure(error: unknown): undefined {
    this.#lastError = error;
    if (this.#closing.signal.aborted || this.isReady || this.#downSince !== undefined) return;
    this.#downSince = this.#options.now();
    const problem = error instanceof Error ? error.message : 'unknown';
    this.#options.logger.warn('redis.connection_lost', { purpose: this.#options.purpose, problem });
  }

  #noteReady(): void {
    this.noteReply();
    if (this.#downSince !== undefined) {
      const downMs = Math.round(this.#options.now() - this.#downSince);
      this.#downSince = undefined;
      this.#options.logger.info('redis.connected', { purpose: this.#options.purpose, downMs });
    }
    const isFirst = !this.#wasReady;
    this.#wasReady = true;
    if (!isFirst) for (const listener of this.#reconnectListeners) listener();
    for (const settle of this.#waiting) settle();
  }
}
