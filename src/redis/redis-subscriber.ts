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
  /** Its listener hears nothing from now on. Never rejects. */
  unsubscribe(channel: string): Promise<void>;
  /** Calls `listener` when subscriptions are in force again after messages may have been lost. */
  onReconnected(listener: () => void): () => void;
  /** @throws UpstreamError when there is no connection */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** Channels in one command after a reconnection; there may be tens of thousands. */
const maxChannelsAtOnce = 1000;
const retryMs = 100;

/** Opens a connection of its own. @throws UpstreamError */
export async function createRedisSubscriber(options: RedisLinkOptions): Promise<RedisSubscriber> {
  return new LinkSubscriber(await RedisLink.open(options), options);
}

class LinkSubscriber implements RedisSubscriber {
  readonly #link: RedisLink;
  readonly #options: RedisLinkOptions;
  readonly #listeners = new Map<string, (message: string) => void>();
  readonly #reconnectListeners = new Set<() => void>();

  constructor(link: RedisLink, options: RedisLinkOptions) {
    this.#link = link;
    this.#options = options;
    link.onReconnected(() => void this.#resume());
  }

  async subscribe(channel: string, listener: (message: string) => void): Promise<void> {
    if (this.#listeners.has(channel)) throw new TypeError('A channel has one listener.');
    this.#listeners.set(channel, listener);
    try {
      await this.#bounded(async () => {
        await this.#link.client.subscribe(channel, this.#dispatch);
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
    // A connection that is lost takes its subscriptions along, and the next one begins with those that are wanted.
    if (!this.#link.isReady) return;
    await this.#bounded(async () => this.#link.client.unsubscribe(channel, this.#dispatch)).catch(
      () => undefined,
    );
  }

  onReconnected(listener: () => void): () => void {
    this.#reconnectListeners.add(listener);
    return () => this.#reconnectListeners.delete(listener);
  }

  async check(): Promise<void> {
    await this.#bounded(async () => this.#link.client.ping()).catch((error: unknown) => {
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

  /** A new connection knows no subscriptions. */
  async #resume(): Promise<void> {
    const channels = [...this.#listeners.keys()];
    const batches: Promise<void>[] = [];
    for (let start = 0; start < channels.length; start += maxChannelsAtOnce) {
      const batch = channels.slice(start, start + maxChannelsAtOnce);
      batches.push(this.#bounded(async () => this.#link.client.subscribe(batch, this.#dispatch)));
    }
    try {
      await Promise.all(batches);
    } catch {
      // If the connection broke again, the next one resumes; until then it is worth nothing without its subscriptions.
      setTimeout(() => {
        if (this.#link.isReady) void this.#resume();
      }, retryMs).unref();
      return;
    }
    for (const channel of channels) if (!this.#listeners.has(channel)) void this.unsubscribe(channel);
    for (const listener of this.#reconnectListeners) listener();
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
