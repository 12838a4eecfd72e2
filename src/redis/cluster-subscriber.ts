/**
 * Receives what is published in a cluster, each channel at the node that has its slot: what is published there goes to no
 * other node. A channel moves with its slot, and is followed; what was published meanwhile may be lost, and that is told.
 *
 * A node tells of a channel that it gives away, but node-redis (6.3.1) loses that word while a reply is on its way. So these
 * connections carry subscriptions only, and where each channel belongs is looked at again and again, with or without word.
 */
import { ErrorReply, type RedisClientType } from 'redis';
import { UpstreamError } from '../errors.ts';
import { toUpstreamError } from './redis-commands.ts';
import { RedisLink, type RedisLinkOptions } from './redis-link.ts';
import { type ClusterRedisLinks, toNode } from './redis-links.ts';
import type { RedisSubscriber } from './redis-subscriber.ts';

/** Subscriptions on their way at once when many have to be made again. */
const maxAtOnce = 200;
const retryMs = 50;
/** How often it is looked whether every channel is where it belongs. */
const lookMs = 1000;
/** How long to wait for a connection before looking whether another took its place. */
const readyMs = 250;

/** A channel that is listened to. */
interface Channel {
  readonly name: string;
  readonly listener: (message: string) => void;
  /** Where it is subscribed to. Absent before the first time, and once its node has given it away. */
  client: RedisClientType | undefined;
  /** It was subscribed to, and is to be again. */
  isCut: boolean;
}

/** @param nodes where keys are; theirs are other connections, and stay the caller's */
export function createClusterSubscriber(
  options: RedisLinkOptions,
  nodes: ClusterRedisLinks,
): RedisSubscriber {
  return new ClusterSubscriber(options, nodes);
}

class ClusterSubscriber implements RedisSubscriber {
  readonly #options: RedisLinkOptions;
  readonly #nodes: ClusterRedisLinks;
  readonly #links = new Map<string, RedisLink>();
  readonly #channels = new Map<string, Channel>();
  readonly #reconnectListeners = new Set<() => void>();
  readonly #watched = new WeakSet<RedisClientType>();
  readonly #look: NodeJS.Timeout;
  readonly #stopHearing: () => void;
  #isFollowing = false;
  #isAskedAgain = false;
  /** Something was brought elsewhere, or is to be, and nobody was told of it yet. */
  #isGapUntold = false;
  #isClosed = false;

  constructor(options: RedisLinkOptions, nodes: ClusterRedisLinks) {
    this.#options = options;
    this.#nodes = nodes;
    this.#stopHearing = nodes.onReconnected(() => this.#follow());
    this.#look = setInterval(() => this.#follow(), lookMs);
    this.#look.unref();
  }

  async subscribe(name: string, listener: (message: string) => void): Promise<void> {
    if (this.#channels.has(name)) throw new TypeError('A channel has one listener.');
    const channel: Channel = { name, listener, client: undefined, isCut: false };
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

  /** Every channel is where it belongs; without one, there is nothing to be wrong. */
  async check(): Promise<void> {
    await this.#nodes.refresh();
    if ([...this.#channels.values()].some((channel) => this.#isAstray(channel)))
      throw new UpstreamError('redis', 'Redis cannot be listened to');
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#look);
    this.#stopHearing();
    this.#channels.clear();
    for (const link of this.#links.values()) link.close();
  }

  #linkFor({ name }: Channel): RedisLink {
    const address = this.#nodes.addressOf(name);
    const known = this.#links.get(address);
    if (known !== undefined) return known;
    const { target } = this.#options;
    const link = RedisLink.start({
      ...this.#options,
      target: { ...target, kind: 'single', nodes: [toNode(address)] },
      purpose: `${this.#options.purpose} ${address}`,
    });
    link.onReconnected(() => this.#follow());
    this.#links.set(address, link);
    return link;
  }

  /** Subscribes to it at the node that has its slot, wherever that is by the deadline. */
  async #attach(channel: Channel, deadline: number): Promise<void> {
    for (;;) {
      const link = this.#linkFor(channel);
      if (await link.isReadyBy(Math.min(this.#options.now() + readyMs, deadline))) {
        const { client } = link;
        this.#watch(client, link);
        try {
          await this.#bounded(link, deadline, () => client.sSubscribe(channel.name, this.#dispatch));
          channel.client = client;
          channel.isCut = false;
          // It took so long that nobody waited, or wants it any more.
          if (this.#channels.get(channel.name) !== channel) await this.#leave(channel);
          return;
        } catch (error) {
          if (!isElsewhere(error) || this.#options.now() + retryMs >= deadline) throw error;
          await new Promise((resolve) => setTimeout(resolve, retryMs));
        }
      } else if (this.#options.now() >= deadline) throw link.toUnreachable();
      await this.#nodes.refresh();
    }
  }

  async #leave({ name, client }: Pick<Channel, 'name' | 'client'>): Promise<void> {
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
    client.on('sharded-channel-moved', (name: string) => {
      link.noteReply();
      const channel = this.#channels.get(name);
      if (channel?.client !== client) return;
      channel.client = undefined;
      channel.isCut = true;
      this.#follow();
    });
    // Word of a channel given away that comes between a subscription and its reply is taken for that reply: from then on
    // nothing that this connection says is what it seems.
    client.on('error', () => link.giveUp('garbled'));
  }

  #isAstray(channel: Channel): boolean {
    // One that is subscribed to for the first time looks for its node itself.
    if (channel.client === undefined) return channel.isCut;
    const link = this.#linkFor(channel);
    return !link.isReady || link.client !== channel.client;
  }

  /** Brings every channel to where its slot is, in the background. */
  #follow(): void {
    this.#isAskedAgain = true;
    if (this.#isClosed || this.#isFollowing) return;
    this.#isFollowing = true;
    void this.#followAll().finally(() => {
      this.#isFollowing = false;
    });
  }

  async #followAll(): Promise<void> {
    while (this.#isAskedAgain && !this.#isClosed) {
      this.#isAskedAgain = false;
      await this.#nodes.refresh();
      const astray = [...this.#channels.values()].filter((channel) => this.#isAstray(channel));
      this.#isGapUntold ||= astray.length > 0;
      await this.#bring(astray);
      this.#closeUnused();
      if (!this.#isGapUntold || [...this.#channels.values()].some((channel) => this.#isAstray(channel)))
        continue;
      this.#isGapUntold = false;
      for (const listener of this.#reconnectListeners) listener();
    }
  }

  /** Nodes that have no channel any more may be gone for good. */
  #closeUnused(): void {
    const used = new Set([...this.#channels.keys()].map((name) => this.#nodes.addressOf(name)));
    for (const [address, link] of this.#links) {
      if (used.has(address)) continue;
      link.close();
      this.#links.delete(address);
    }
  }

  /** What does not succeed is tried again with the next look. */
  async #bring(astray: Channel[]): Promise<void> {
    const deadline = this.#options.now() + this.#options.commandTimeoutMs;
    const lane = async (): Promise<void> => {
      for (let next = astray.pop(); next !== undefined; next = astray.pop()) {
        const { name, client } = next;
        await this.#attach(next, deadline).catch(() => undefined);
        if (client !== next.client) await this.#leave({ name, client });
      }
    };
    await Promise.all(Array.from({ length: Math.min(maxAtOnce, astray.length) }, lane));
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
