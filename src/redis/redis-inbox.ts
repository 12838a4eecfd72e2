/**
 * Messages to one instance, which must reach it if it lives: each rests in a stream, `<prefix>inbox:{<topic>}`, until
 * the instance has taken it; what goes over the channel of the same topic is only word that there is something. The
 * stream is read at each such word, after each reconnection, and now and then without either.
 *
 * An inbox has one owner: the instance that its topic names. Two that subscribed to it would take each other's messages.
 */
import { UpstreamError } from '../errors.ts';
import { RecentSet } from '../lib/recent-set.ts';
import type { RedisConnection } from './redis-connection.ts';
import { defineScript } from './redis-script.ts';

/** How long a message waits for an instance that may not live any more. */
const restMs = 120_000;
/** Most messages waiting for one instance. */
const maxWaiting = 10_000;
/** Messages taken at once: few, since one may have 1 MiB. */
const maxTaken = 16;
/** Messages known again, should they come twice: more than can be on their way to one instance. */
const maxRemembered = 20_000;

/**
 * Puts a message into an inbox and sends word.
 *
 * KEYS[1] the inbox. ARGV[1] the channel, ARGV[2] the message, ARGV[3] its rest in milliseconds, ARGV[4] the most that
 * may wait. Result: 1, or 0 when it is full.
 * Closes: a message without word of it, or a stream without a time to live, when the sender dies in between.
 */
const putScript = defineScript(
  'inbox-put',
  `if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end
redis.call('XADD', KEYS[1], '*', 'm', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PUBLISH', ARGV[1], '')
return 1`,
  // The owner knows a message that comes twice.
  { isRepeatable: true },
);

/**
 * Drops the messages that were handled and reads those that come next, the oldest first.
 *
 * KEYS[1] the inbox. ARGV[1] how many to read at most, ARGV[2...] ids of those that were handled. Result: entries, each
 * an id and its fields.
 * Closes: a message lost with the reply that carried it, since it is dropped only by the call after.
 */
const takeScript = defineScript(
  'inbox-take',
  `if #ARGV > 1 then redis.call('XDEL', KEYS[1], unpack(ARGV, 2)) end
return redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[1])`,
  { isRepeatable: true },
);

/** The key of a topic's inbox; in a cluster on the shard of its channel. */
export function toInboxKey(redis: RedisConnection, topic: string): string {
  return `${redis.prefix}inbox:{${topic}}`;
}

/** @throws UpstreamError also when the inbox is full */
export async function putIntoInbox(
  redis: RedisConnection,
  put: { readonly topic: string; readonly channel: string; readonly text: string },
): Promise<void> {
  const keys = [toInboxKey(redis, put.topic)];
  const args = [put.channel, put.text, String(restMs), String(maxWaiting)];
  const done = await redis.runScript(putScript, keys, args);
  if (done !== 1)
    throw new UpstreamError('redis', 'The instance that waits for this takes nothing at the moment');
}

/** The owner's side of an inbox. */
export class RedisInbox {
  readonly #redis: RedisConnection;
  readonly #key: string;
  readonly #identify: (text: string) => string | undefined;
  readonly #deliver: (text: string) => void;
  readonly #seen = new RecentSet<string>(maxRemembered);
  #isDraining = false;
  #isAsked = false;
  #isClosed = false;

  /**
   * @param options.identify a message's own id; `undefined`: it is dropped
   * @param options.deliver called once for each message, the oldest first; must not throw
   */
  constructor(options: {
    readonly redis: RedisConnection;
    readonly topic: string;
    readonly identify: (text: string) => string | undefined;
    readonly deliver: (text: string) => void;
  }) {
    this.#redis = options.redis;
    this.#key = toInboxKey(options.redis, options.topic);
    this.#identify = options.identify;
    this.#deliver = options.deliver;
  }

  /** Empties it of what was sent before anybody listened. @throws UpstreamError */
  async clear(): Promise<void> {
    await this.#redis.client.del(this.#key);
  }

  /** Delivers what is there, soon. Never throws: what cannot be read now is read at the next occasion. */
  drain(): void {
    this.#isAsked = true;
    if (this.#isDraining || this.#isClosed) return;
    this.#isDraining = true;
    this.#drainAll()
      .catch(() => undefined)
      .finally(() => {
        this.#isDraining = false;
      });
  }

  close(): void {
    this.#isClosed = true;
  }

  async #drainAll(): Promise<void> {
    let handled: readonly string[] = [];
    while ((this.#isAsked || handled.length > 0) && !this.#isClosed) {
      this.#isAsked = false;
      // The script returns what XRANGE does.
      const entries = (await this.#redis.runScript(
        takeScript,
        [this.#key],
        [String(maxTaken), ...handled],
      )) as readonly (readonly [id: string, fields: readonly [name: string, text: string]])[];
      for (const [, [, text]] of entries) this.#receive(text);
      handled = entries.map(([id]) => id);
    }
  }

  #receive(text: string): void {
    const id = this.#identify(text);
    if (this.#isClosed || id === undefined || this.#seen.has(id)) return;
    this.#seen.add(id);
    this.#deliver(text);
  }
}
