/**
 * Messages to one instance, which must reach it if it lives: each rests in a stream, `<prefix>inbox:{<topic>}`, until
 * the instance has taken it. Over the channel of the same topic goes word of it, with the message itself if it is short,
 * so that it need not be asked for. The stream is read at each such word, after each reconnection, and now and then
 * without either.
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
/** Longest message that its word carries, in characters: what is longer is not sent twice. */
const maxCarried = 16_384;
/** Messages known again, should they come twice: more than can be on their way to one instance. */
const maxRemembered = 20_000;

/**
 * Puts a message into an inbox and sends word.
 *
 * KEYS[1] the inbox. ARGV[1] the channel, ARGV[2] the message, ARGV[3] its rest in milliseconds, ARGV[4] the most that
 * may wait, ARGV[5] '1' when its word shall carry it, ARGV[6] the command that sends word. The word: how many waited before it, its id in the stream and the
 * message, with spaces between; or nothing. Result: 1, or 0 when it is full.
 * Closes: a message without word of it, or a stream without a time to live, when the sender dies in between.
 */
const putScript = defineScript(
  'inbox-put',
  `local waiting = redis.call('XLEN', KEYS[1])
if waiting >= tonumber(ARGV[4]) then return 0 end
local id = redis.call('XADD', KEYS[1], '*', 'm', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call(ARGV[6], ARGV[1], ARGV[5] == '1' and waiting .. ' ' .. id .. ' ' .. ARGV[2] or '')
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
  const isCarried = put.text.length <= maxCarried ? '1' : '';
  // In a cluster the channel is on the inbox's slot.
  const publish = redis.isCluster ? 'SPUBLISH' : 'PUBLISH';
  const args = [put.channel, put.text, String(restMs), String(maxWaiting), isCarried, publish];
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
  /** Delivered, and to be dropped from the stream with the next look. */
  #handled: string[] = [];
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

  /**
   * Takes word of a message. Unless everything that waited before it was delivered, it waits for its turn: nothing
   * overtakes what was sent before it.
   */
  hear(word: string): void {
    const [, waiting, id = '', text = ''] = /^(\d+) (\S+) (.*)$/s.exec(word) ?? [];
    if (!this.#isDraining && Number(waiting) === this.#handled.length) {
      this.#handled.push(id);
      this.#receive(text);
      // What was delivered is dropped in passing; the next look, which comes soon, drops the rest.
      if (this.#handled.length < maxTaken) return;
    }
    this.drain();
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
    while ((this.#isAsked || this.#handled.length > 0) && !this.#isClosed) {
      this.#isAsked = false;
      const handled = this.#handled.splice(0, maxTaken);
      // The script returns what XRANGE does.
      const entries = (await this.#redis.runScript(
        takeScript,
        [this.#key],
        [String(maxTaken), ...handled],
      )) as readonly (readonly [id: string, fields: readonly [name: string, text: string]])[];
      for (const [id, [, text]] of entries) {
        this.#receive(text);
        this.#handled.push(id);
      }
    }
  }

  #receive(text: string): void {
    const id = this.#identify(text);
    if (this.#isClosed || id === undefined || this.#seen.has(id)) return;
    this.#seen.add(id);
    this.#deliver(text);
  }
}
