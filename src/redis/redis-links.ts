/** Which connection a command goes over: always the same, or in a cluster the one to the master of its key's slot. */
import { RedisLink, type RedisLinkOptions } from './redis-link.ts';
import { slotCount, toSlot } from './redis-slots.ts';
import type { RedisNode } from '../config/redis-url.ts';

/** See the file's head. */
export interface RedisLinks {
  /** How long to wait for a connection before looking whether another took its place. */
  readonly lookMs: number;
  /** @param key `undefined` for a command without one */
  linkFor(key: string | undefined): RedisLink;
  /** A connection to each master of the moment. */
  masters(): readonly RedisLink[];
  /** The connection to one node, for a command that was sent on to it. */
  linkTo(address: string): RedisLink;
  /** To be told when a command found its key elsewhere, or its node away. Resolves when it was looked at. */
  refresh(): Promise<void>;
  /** Calls `listener` whenever a connection is there again, or another takes its place. */
  onReconnected(listener: () => void): () => void;
  close(): void;
}

/** Those of a cluster, which know where each key is. */
export interface ClusterRedisLinks extends RedisLinks {
  /** The node that has a key's slot, as `host:port`; some master while that is not known. */
  addressOf(key: string): string;
}

/** One server, or what the sentinels name as such. @throws UpstreamError */
export async function openSingleLinks(options: RedisLinkOptions): Promise<RedisLinks> {
  return toSingleLinks(await RedisLink.open(options));
}

/** One connection, whatever is asked for. Closing them closes it. */
export function toSingleLinks(link: RedisLink): RedisLinks {
  return {
    masters: () => [link],
    lookMs: Number.POSITIVE_INFINITY,
    linkFor: () => link,
    linkTo: () => link,
    refresh: async () => undefined,
    onReconnected: (listener) => link.onReconnected(listener),
    close: () => link.close(),
  };
}

/** @throws UpstreamError when no node answers */
export async function openClusterLinks(options: RedisLinkOptions): Promise<ClusterRedisLinks> {
  const links = new ClusterLinks(options);
  const [node] = options.target.nodes;
  try {
    await links
      .linkTo(toAddress(node))
      .waitUntilReady(options.now() + options.connectTimeoutMs)
      .catch(() => undefined);
    await links.refresh();
    await links.linkFor(undefined).waitUntilReady(options.now() + options.connectTimeoutMs);
  } catch (error) {
    links.close();
    throw error;
  }
  return links;
}

/** Looking at the cluster again and again must not become a load of its own. */
const minRefreshIntervalMs = 100;
/** Most nodes that we connect to. */
const maxLinks = 1000;

class ClusterLinks implements ClusterRedisLinks {
  readonly lookMs = 250;
  readonly #options: RedisLinkOptions;
  readonly #links = new Map<string, RedisLink>();
  readonly #listeners = new Set<() => void>();
  #owners: (string | undefined)[] = [];
  #masters: readonly string[];
  #refreshing: Promise<void> | undefined;
  #refreshedAt = Number.NEGATIVE_INFINITY;

  constructor(options: RedisLinkOptions) {
    this.#options = options;
    this.#masters = options.target.nodes.map(toAddress);
  }

  linkFor(key: string | undefined): RedisLink {
    return this.linkTo(key === undefined ? this.#anyMaster() : this.addressOf(key));
  }

  addressOf(key: string): string {
    return this.#owners[toSlot(key)] ?? this.#anyMaster();
  }

  masters(): readonly RedisLink[] {
    return this.#masters.map((address) => this.linkTo(address));
  }

  linkTo(address: string): RedisLink {
    const known = this.#links.get(address);
    if (known !== undefined) return known;
    if (this.#links.size >= maxLinks) throw new RangeError(`A cluster has at most ${maxLinks} nodes.`);
    const { target } = this.#options;
    const link = RedisLink.start({
      ...this.#options,
      target: { ...target, kind: 'single', nodes: [toNode(address)] },
      purpose: `${this.#options.purpose} ${address}`,
    });
    link.onReconnected(() => this.#tell());
    this.#links.set(address, link);
    return link;
  }

  refresh(): Promise<void> {
    this.#refreshing ??= this.#look().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  onReconnected(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    for (const link of this.#links.values()) link.close();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  #anyMaster(): string {
    return this.#masters.find((address) => this.#links.get(address)?.isReady) ?? this.#pick();
  }

  #pick(): string {
    const index = Math.floor(this.#options.random() * this.#masters.length);
    return this.#masters[index] ?? toAddress(this.#options.target.nodes[0]);
  }

  async #look(): Promise<void> {
    const { now, target, commandTimeoutMs } = this.#options;
    if (now() - this.#refreshedAt < minRefreshIntervalMs) return;
    const known = new Set([...this.#masters, ...target.nodes.map(toAddress)]);
    // Those that answer first: one that is away would cost its whole time.
    const ready = [...known].filter((address) => this.#links.get(address)?.isReady);
    for (const address of ready.length > 0 ? ready : known) {
      const link = this.linkTo(address);
      try {
        await link.waitUntilReady(now() + commandTimeoutMs / known.size);
        this.#take(
          await bounded(link.client.sendCommand(['CLUSTER', 'SLOTS']), commandTimeoutMs / 4),
          address,
        );
        this.#refreshedAt = now();
        return;
      } catch {
        // The next node may know.
      }
    }
  }

  /** @param reply rows of first slot, last slot and nodes, of which the first is the master */
  #take(reply: unknown, asked: string): void {
    const owners: (string | undefined)[] = Array.from({ length: slotCount }, () => undefined);
    // The shape is that of the command's documentation.
    for (const [first, last, [host, port]] of reply as [number, number, [string, number]][]) {
      // A node that does not know its own name leaves it out.
      const address = toAddress({ host: host === '' ? toNode(asked).host : host, port });
      owners.fill(address, first, last + 1);
    }
    const masters = [...new Set(owners)].filter((owner) => owner !== undefined);
    if (masters.length === 0) return;
    const isMoved = owners.some((owner, slot) => owner !== this.#owners[slot]);
    this.#owners = owners;
    this.#masters = masters;
    for (const [address, link] of this.#links) {
      if (masters.includes(address)) continue;
      link.close();
      this.#links.delete(address);
    }
    if (isMoved) this.#tell();
  }
}

async function bounded<Value>(promise: Promise<Value>, timeoutMs: number): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('The node did not answer in time')), timeoutMs);
  });
  return Promise.race([promise, tooLate]).finally(() => clearTimeout(timer));
}

function toAddress({ host, port }: RedisNode): string {
  return `${host}:${port}`;
}

/** The node that an address names. */
export function toNode(address: string): RedisNode {
  const separator = address.lastIndexOf(':');
  return { host: address.slice(0, separator), port: Number(address.slice(separator + 1)) };
}
