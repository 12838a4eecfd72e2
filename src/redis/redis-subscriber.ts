import type { RedisClientType } from 'redis';
import { UpstreamError } from '../errors.ts';
import { toUpstreamError } from './redis-commands.ts';
import { RedisLink, type RedisLinkOptions } from './redis-link.ts';

/** A connection that receives what is published. Subscriptions outlive reconnections; what is sent meanwhile is lost. */
export interface RedisSubscriber {
  /**
   * Resolves once Redis has confirmed. One listener per channel; it must not throw.
   *
   * @throws UpstreamError, and then nothing is subscribed
   */
  subscribe(channel: string, listener: (message: string) => void): Promise<void>;
  /** Its listener hears nothing from now on. Never rejects: what Redis could not be told is told at the next connection. */
  unsubscribe(channel: string): Promise<void>;
  /** Calls `listener` when subscriptions are in force again after messages may have been lost. */
  onReconnected(listener: () => void): () => void;
  /** @throws UpstreamError when there is no connection */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** Opens a connection of its own. @throws UpstreamError */
export async function createRedisSubscriber(options: RedisLinkOptions): Promise<RedisSubscriber> {
  return new SingleSubscriber(await RedisLink.open(options), options);
}

class SingleSubscriber implements RedisSubscriber {
  readonly #link: RedisLink;
  readonly #client: RedisClientType;
  readonly #options: RedisLinkOptions;
  readonly #listeners = new Map<string, (message: string) => void>();

  constructor(link: RedisLink, options: RedisLinkOptions) {
    this.#link = link;
    this.#client = link.client;
    this.#options = options;
    link.onReconnected(() => this.#reconcile());
  }

  async subscribe(channel: string, listener: (message: string) => void): Promise<void> {
    if (this.#listeners.has(channel)) throw new TypeError('A channel has one listener.');
    this.#listeners.set(channel, listener);
    try {
      await this.#bounded(async () => {
        await this.#client.subscribe(channel, this.#dispatch);
        // It took so long that nobody waited, or wants it any more.
        if (!this.#listeners.has(channel)) void this.unsubscribe(channel);
      });
    } catch (error) {
      if (this.#listeners.get(channel) === listener) this.#listeners.delete(channel);
      throw toUpstreamError(error);
    }
  }

  async unsubscribe(channel: string): Promise<void> {
    this.#listeners.delete(channel);
    if (!this.#link.isReady) return;
    await this.#bounded(() => this.#client.unsubscribe(channel, this.#dispatch)).catch(() => undefined);
  }

  onReconnected(listener: () => void): () => void {
    return this.#link.onReconnected(listener);
  }

  async check(): Promise<void> {
    await this.#bounded(() => this.#client.ping()).catch((error: unknown) => {
      throw toUpstreamError(error);
    });
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    this.#link.close();
  }

  readonly #dispatch = (message: string, channel: string): void => {
    this.#link.noteReply();
    this.#listeners.get(channel)?.(message);
  };

  /** The client subscribed again to what it knew; this tells it what changed while it could not be told. */
  #reconcile(): void {
    for (const channel of this.#client.getPubSubListeners('CHANNELS').keys()) {
      if (!this.#listeners.has(channel)) void this.unsubscribe(channel);
    }
  }

  async #bounded(issue: () => Promise<unknown>): Promise<void> {
    const sentAt = this.#options.now();
    const deadline = sentAt + this.#options.commandTimeoutMs;
    await this.#link.waitUntilReady(deadline);
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#link.noteTimeout(sentAt);
        reject(new UpstreamError('redis', 'Redis did not answer in time'));
      }, deadline - this.#options.now());
      issue()
        .finally(() => clearTimeout(timer))
        .then(() => {
          this.#link.noteReply();
          resolve();
        }, reject);
    });
  }
}
