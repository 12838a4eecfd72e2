/**
 * Receives what is published in a cluster, each channel at the node that has its slot: what is published there goes to no
 * other node. A channel moves with its slot, and is followed; what was published meanwhile may be lost, and that is told.
 */
import { ErrorReply, type RedisClientType } from 'redis';
import { UpstreamError } from '../errors.ts';
import { toUpstreamError } from './redis-commands.ts';
import type { RedisLink, RedisLinkOptions } from './redis-link.ts';
import { openClusterLinks, type RedisLinks } from './redis-links.ts';
import type { RedisSubscriber } from './redis-subscriber.ts';

/** Subscriptions on their way at once when many have to be made again. */
const maxAtOnce = 200;
const retryMs = 50;
/** How often it is looked whether the nodes that we listen at are still those to listen at. */
const lookMs = 250;

/** A channel that is listened to. */
interface Channel {
  readonly name: string;
  readonly listener: (message: string) => void;
  /** Where it is subscribed to; another one after each outage. */
  client: RedisClientType | undefined;
}

/** Opens connections of its own to the masters. @throws UpstreamError when no node answers */
export async function createClusterSubscriber(options: RedisLinkOptions): Promise<RedisSubscriber> {
  return new ClusterSubscriber(await openClusterLinks(options), options);
}

class ClusterSubscriber implements RedisSubscriber {
  readonly #links: RedisLinks;
  readonly #options: RedisLinkOptions;
  readonly #channels = new Map<string, Channel>();
  readonly #reconnectListeners = new Set<() => void>();
  readonly #watched = new WeakSet<RedisClientType>();
  readonly #look: NodeJS.Timeout;
  #isFollowing = false;
  #isLost = false;
  #isClosed = false;

  constructor(links: RedisLinks, options: RedisLinkOptions) {
    this.#links = links;
    this.#options = options;
    links.onReconnected(() => this.#follow());
    this.#look = setInterval(() => {
      if (this.#isAstray()) this.#follow();
    }, lookMs);
    this.#look.unref();
  }

  async subscribe(name: string, listener: (message: string) => void): Promise<void> {
    if (this.#channels.has(name)) throw new TypeError('A channel has one listener.');
    const channel: Channel = { name, listener, client: undefined };
    this.#channels.set(name, channel);
    try {
      await this.#attach(channel, this.#options.now() + this.#options.commandTimeoutMs);
    } catch (error) {
      if (this.#channels.get(name) === channel) this.#channels.delete(name);
      throw toUpstreamError(error);
    }
  }

  async unsubscribe(name: string): Promise<void> {
    const channel = this.#channels.get(name);
    this.#channels.delete(name);
    if (channel !== undefined) await this.#leave(channel);
  }

  onReconnected(listener: () => void): () => void {
    this.#reconnectListeners.add(listener);
    return () => this.#reconnectListeners.delete(listener);
  }

  async check(): Promise<void> {
    const deadline = this.#options.now() + this.#options.commandTimeoutMs;
    const link = this.#links.linkFor(undefined);
    await link.waitUntilReady(deadline);
    await this.#bounded(link, deadline, async () => link.client.ping()).catch((error: unknown) => {
      throw toUpstreamError(error);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#look);
    this.#channels.clear();
    this.#links.close();
  }

  /** Subscribes to it at the node that has its slot, wherever that is by the deadline. */
  async #attach(channel: Channel, deadline: number): Promise<void> {
    for (;;) {
      const link = this.#links.linkFor(channel.name);
      const lookAt = Math.min(this.#options.now() + this.#links.lookMs, deadline);
      if (await link.isReadyBy(lookAt)) {
        const { client } = link;
        this.#watch(client, link);
        try {
          await this.#bounded(link, deadline, () => client.sSubscribe(channel.name, this.#dispatch));
          channel.client = client;
          // It took so long that nobody waited, or wants it any more.
          if (this.#channels.get(channel.name) !== channel) await this.#leave(channel);
          return;
        } catch (error) {
          if (!isElsewhere(error) || this.#options.now() + retryMs >= deadline) throw error;
          await new Promise((resolve) => setTimeout(resolve, retryMs));
        }
      } else if (this.#options.now() >= deadline) throw link.toUnreachable();
      await this.#links.refresh();
    }
  }

  async #leave({ name, client }: Channel): Promise<void> {
    // A connection that is lost takes its subscriptions along.
    if (client?.isReady !== true) return;
    await client.sUnsubscribe(name, this.#dispatch).catch(() => undefined);
  }

  readonly #dispatch = (message: string, name: string): void => {
    this.#channels.get(name)?.listener(message);
  };

  #watch(client: RedisClientType, link: RedisLink): void {
    if (this.#watched.has(client)) return;
    this.#watched.add(client);
    // The node tells of each channel whose slot it gives away, and has ended the subscription.
    client.on('sharded-channel-moved', (name: string) => {
      link.noteReply();
      const channel = this.#channels.get(name);
      if (channel?.client === client) channel.client = undefined;
      this.#follow();
    });
  }

  /** Whether something is listened to where it is not, or not any more. */
  #isAstray(): boolean {
    const checked = new Map<RedisClientType, boolean>();
    for (const { name, client } of this.#channels.values()) {
      // One that is being subscribed to for the first time looks for its node itself.
      if (client === undefined) continue;
      let isRight = checked.get(client);
      if (isRight === undefined) {
        const link = this.#links.linkFor(name);
        isRight = link.isReady && link.client === client;
        checked.set(client, isRight);
      }
      if (!isRight) return true;
    }
    return this.#isLost;
  }

  /** Brings every channel to where its slot is, in the background, again and again until all are there. */
  #follow(): void {
    if (this.#isClosed || this.#isFollowing) return;
    this.#isFollowing = true;
    void this.#bringAll().finally(() => {
      this.#isFollowing = false;
    });
  }

  async #bringAll(): Promise<void> {
    await this.#links.refresh();
    const astray = [...this.#channels.values()].filter((channel) => !this.#isRight(channel));
    if (astray.length === 0 && !this.#isLost) return;
    this.#isLost = true;
    const deadline = this.#options.now() + this.#options.commandTimeoutMs;
    let isDone = true;
    const bring = async (): Promise<void> => {
      for (let next = astray.pop(); next !== undefined; next = astray.pop()) {
        const before = { ...next };
        try {
          await this.#attach(next, deadline);
          if (before.client !== next.client) await this.#leave(before);
        } catch {
          // The next look tries again.
          isDone = false;
        }
      }
    };
    await Promise.all(Array.from({ length: maxAtOnce }, bring));
    if (!isDone || this.#isClosed) return;
    this.#isLost = false;
    for (const listener of this.#reconnectListeners) listener();
  }

  #isRight({ name, client }: Channel): boolean {
    const link = this.#links.linkFor(name);
    return link.isReady && link.client === client;
  }

  async #bounded(link: RedisLink, deadline: number, issue: () => Promise<unknown>): Promise<void> {
    const sentAt = this.#options.now();
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => {
          link.noteTimeout(sentAt);
          reject(new UpstreamError('redis', 'Redis did not answer in time'));
        },
        Math.max(0, deadline - sentAt),
      );
      issue()
        .finally(() => clearTimeout(timer))
        .then(() => {
          link.noteReply();
          resolve();
        }, reject);
    });
  }
}

/** The node does not have the slot, or not the whole of it at this moment. */
function isElsewhere(error: unknown): boolean {
  return error instanceof ErrorReply && /^(?:MOVED|ASK|CLUSTERDOWN|TRYAGAIN|LOADING) /.test(error.message);
}
