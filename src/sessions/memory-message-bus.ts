import type { MessageBus } from './message-bus.ts';

/** Bounds of a memory message bus, and where failures are told. */
export interface MemoryMessageBusOptions {
  /** Told what a listener threw or rejected with, and when messages were dropped. Must not throw. */
  readonly onError: (error: unknown) => void;
  /** Messages waiting for one subscriber; further ones are dropped. Default 10,000. */
  readonly maxQueuedPerSubscriber?: number;
  /** Default 100,000. */
  readonly maxSubscriptions?: number;
}

/** @see MessageBus.publish */
const maxMessageBytes = 1024 * 1024;

/** Carries messages inside this process, each delivered in a later turn of the event loop. */
export function createMemoryMessageBus(options: MemoryMessageBusOptions): MessageBus {
  return new MemoryMessageBus(options);
}

interface Subscriber {
  readonly topic: string;
  readonly listener: (message: string) => unknown;
  queue: string[];
  dropped: number;
  isActive: boolean;
}

class MemoryMessageBus implements MessageBus {
  readonly #onError: (error: unknown) => void;
  readonly #maxQueued: number;
  readonly #maxSubscriptions: number;
  readonly #topics = new Map<string, Set<Subscriber>>();
  readonly #gapListeners = new Set<() => void>();
  #subscriptions = 0;
  #waiting = new Set<Subscriber>();
  #isClosed = false;

  constructor(options: MemoryMessageBusOptions) {
    this.#onError = options.onError;
    this.#maxQueued = options.maxQueuedPerSubscriber ?? 10_000;
    this.#maxSubscriptions = options.maxSubscriptions ?? 100_000;
  }

  async publish(topic: string, message: string): Promise<void> {
    this.#requireOpen();
    const bytes = Buffer.byteLength(message);
    if (bytes > maxMessageBytes) {
      throw new RangeError(`A message on the bus may be ${maxMessageBytes} bytes; this one is ${bytes}.`);
    }
    for (const subscriber of this.#topics.get(topic) ?? []) this.#enqueue(subscriber, message);
  }

  async subscribe(topic: string, listener: (message: string) => void): Promise<() => Promise<void>> {
    this.#requireOpen();
    if (this.#subscriptions >= this.#maxSubscriptions) {
      throw new RangeError(`The message bus has its most subscriptions, ${this.#maxSubscriptions}.`);
    }
    const subscriber: Subscriber = { topic, listener, queue: [], dropped: 0, isActive: true };
    const subscribers = this.#topics.get(topic) ?? new Set();
    this.#topics.set(topic, subscribers.add(subscriber));
    this.#subscriptions += 1;
    return async () => this.#unsubscribe(subscriber);
  }

  onGap(listener: () => void): () => void {
    this.#gapListeners.add(listener);
    return () => this.#gapListeners.delete(listener);
  }

  async check(): Promise<void> {
    this.#requireOpen();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#gapListeners.clear();
    for (const subscribers of this.#topics.values()) {
      for (const subscriber of subscribers) this.#unsubscribe(subscriber);
    }
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new Error('The message bus is closed.');
  }

  #unsubscribe(subscriber: Subscriber): void {
    if (!subscriber.isActive) return;
    subscriber.isActive = false;
    subscriber.queue = [];
    this.#subscriptions -= 1;
    const subscribers = this.#topics.get(subscriber.topic);
    subscribers?.delete(subscriber);
    if (subscribers?.size === 0) this.#topics.delete(subscriber.topic);
  }

  #enqueue(subscriber: Subscriber, message: string): void {
    if (subscriber.queue.length >= this.#maxQueued) {
      subscriber.dropped += 1;
      return;
    }
    subscriber.queue.push(message);
    // An immediate, not a microtask: listeners that publish to each other must not keep the loop from its sockets.
    if (this.#waiting.size === 0) setImmediate(() => this.#deliver());
    this.#waiting.add(subscriber);
  }

  #deliver(): void {
    const waiting = this.#waiting;
    const isGap = [...waiting].some(({ dropped }) => dropped > 0);
    this.#waiting = new Set();
    for (const subscriber of waiting) {
      const { queue, dropped } = subscriber;
      subscriber.queue = [];
      subscriber.dropped = 0;
      if (dropped > 0) {
        this.#onError(
          new RangeError(`${dropped} messages on ${subscriber.topic} were dropped: too many were waiting.`),
        );
      }
      for (const message of queue) {
        if (subscriber.isActive) this.#call(subscriber, message);
      }
    }
    if (isGap) for (const listener of this.#gapListeners) listener();
  }

  #call(subscriber: Subscriber, message: string): void {
    try {
      const returned = subscriber.listener(message);
      if (returned instanceof Promise) returned.catch(this.#onError);
    } catch (error) {
      this.#onError(error);
    }
  }
}
