/**
 * The message bus on Redis: topics are channels, over one connection per instance however many listen. Messages to
 * one instance rest until it has them, see `redis-inbox.ts`; all others are lost to who is not connected.
 *
 * Does not check who sends: whoever may write to Redis and knows a sealing key is one of us.
 */
import { randomBytes } from 'node:crypto';
import type { SealedBox } from '../mcp/sealed-box.ts';
import type { MessageBus } from '../sessions/message-bus.ts';
import { createBusEnvelope, type BusEnvelope } from './bus-envelope.ts';
import type { RedisConnection } from './redis-connection.ts';
import { putIntoInbox, RedisInbox } from './redis-inbox.ts';
import type { RedisSubscriber } from './redis-subscriber.ts';

/** What the bus is made of, and its bounds. */
export interface RedisMessageBusOptions {
  readonly redis: RedisConnection;
  /** Seals the messages of `instance.<id>` and `session.<id>`; the same keys on every instance. */
  readonly box: SealedBox;
  /** Told what a listener threw or rejected with, and of messages that do not open. Must not throw. */
  readonly onError: (error: unknown) => void;
  /** Default 100,000. */
  readonly maxSubscriptions?: number;
  /** How often an inbox is looked into without word of a message. Default 2,000. */
  readonly pollMs?: number;
}

/** @see MessageBus.publish */
const maxMessageBytes = 1024 * 1024;

/** @throws UpstreamError when there is no connection to receive on */
export async function createRedisMessageBus(options: RedisMessageBusOptions): Promise<MessageBus> {
  return new SharedMessageBus(options, await options.redis.createSubscriber());
}

interface Subscriber {
  readonly listener: (message: string) => unknown;
  isActive: boolean;
}

interface Topic {
  readonly name: string;
  readonly subscribers: Set<Subscriber>;
  readonly inbox: RedisInbox | undefined;
  /** Settles when Redis has confirmed, or not. */
  readonly ready: Promise<void>;
}

class SharedMessageBus implements MessageBus {
  readonly #options: RedisMessageBusOptions;
  readonly #redis: RedisConnection;
  readonly #subscriber: RedisSubscriber;
  readonly #envelope: BusEnvelope;
  readonly #maxSubscriptions: number;
  readonly #topics = new Map<string, Topic>();
  readonly #senderId = randomBytes(9).toString('base64url');
  readonly #poll: NodeJS.Timeout;
  readonly #stopHearing: (() => void)[];
  #sent = 0;
  #subscriptions = 0;
  #isClosed = false;

  constructor(options: RedisMessageBusOptions, subscriber: RedisSubscriber) {
    this.#options = options;
    this.#redis = options.redis;
    this.#subscriber = subscriber;
    this.#envelope = createBusEnvelope(options.box);
    this.#maxSubscriptions = options.maxSubscriptions ?? 100_000;
    const drain = (): void => {
      for (const topic of this.#topics.values()) topic.inbox?.drain();
    };
    this.#stopHearing = [options.redis.onReconnected(drain), subscriber.onReconnected(drain)];
    this.#poll = setInterval(drain, options.pollMs ?? 2000);
    this.#poll.unref();
  }

  async publish(topic: string, message: string): Promise<void> {
    this.#requireOpen();
    const bytes = Buffer.byteLength(message);
    if (bytes > maxMessageBytes) {
      throw new RangeError(`A message on the bus may be ${maxMessageBytes} bytes; this one is ${bytes}.`);
    }
    this.#sent += 1;
    const text = this.#envelope.wrap(topic, { id: `${this.#senderId}.${this.#sent}`, message });
    const channel = this.#toChannel(topic);
    if (hasInbox(topic)) await putIntoInbox(this.#redis, { topic, channel, text });
    else await this.#redis.publish(channel, text);
  }

  async subscribe(name: string, listener: (message: string) => void): Promise<() => Promise<void>> {
    this.#requireOpen();
    if (this.#subscriptions >= this.#maxSubscriptions) {
      throw new RangeError(`The message bus has its most subscriptions, ${this.#maxSubscriptions}.`);
    }
    const topic = this.#topics.get(name) ?? this.#open(name);
    const subscriber: Subscriber = { listener, isActive: true };
    topic.subscribers.add(subscriber);
    this.#subscriptions += 1;
    try {
      await topic.ready;
      this.#requireOpen();
    } catch (error) {
      await this.#end(topic, subscriber);
      throw error;
    }
    return () => this.#end(topic, subscriber);
  }

  async check(): Promise<void> {
    this.#requireOpen();
    await Promise.all([this.#redis.check(), this.#subscriber.check()]);
  }

  onGap(listener: () => void): () => void {
    return this.#subscriber.onReconnected(listener);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#poll);
    for (const stop of this.#stopHearing) stop();
    for (const topic of this.#topics.values()) {
      topic.inbox?.close();
      for (const subscriber of topic.subscribers) subscriber.isActive = false;
    }
    this.#topics.clear();
    await this.#subscriber.close();
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new Error('The message bus is closed.');
  }

  #toChannel(topic: string): string {
    return `${this.#redis.prefix}bus:{${topic}}`;
  }

  #open(name: string): Topic {
    const deliver = (text: string): void => this.#deliver(topic, text);
    const inbox = hasInbox(name)
      ? new RedisInbox({
          redis: this.#redis,
          topic: name,
          identify: (text) => text.split(',', 1)[0],
          deliver,
        })
      : undefined;
    const receive = inbox === undefined ? deliver : (word: string): void => inbox.hear(word);
    const begin = async (): Promise<void> => {
      await inbox?.clear();
      await this.#subscriber.subscribe(this.#toChannel(name), receive);
    };
    const topic: Topic = { name, inbox, subscribers: new Set(), ready: begin() };
    this.#topics.set(name, topic);
    // Who subscribes after a failure begins anew.
    topic.ready.catch(() => this.#topics.delete(name));
    return topic;
  }

  async #end(topic: Topic, subscriber: Subscriber): Promise<void> {
    if (!subscriber.isActive) return;
    subscriber.isActive = false;
    this.#subscriptions -= 1;
    topic.subscribers.delete(subscriber);
    if (topic.subscribers.size > 0 || this.#topics.get(topic.name) !== topic) return;
    this.#topics.delete(topic.name);
    topic.inbox?.close();
    await this.#subscriber.unsubscribe(this.#toChannel(topic.name));
  }

  #deliver(topic: Topic, text: string): void {
    const opened = this.#envelope.unwrap(topic.name, text);
    if (opened === undefined) {
      this.#options.onError(
        new Error(
          `A message on ${topic.name.split('.', 1)[0]} does not open: it is not ours, or its key is gone.`,
        ),
      );
      return;
    }
    for (const subscriber of topic.subscribers) {
      if (subscriber.isActive) this.#call(subscriber, opened.message);
    }
  }

  #call(subscriber: Subscriber, message: string): void {
    try {
      const returned = subscriber.listener(message);
      if (returned instanceof Promise) returned.catch(this.#options.onError);
    } catch (error) {
      this.#options.onError(error);
    }
  }
}

/** Topics whose messages something waits for. */
function hasInbox(topic: string): boolean {
  return topic.startsWith('instance.');
}
