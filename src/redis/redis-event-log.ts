import { repeatWhileAway } from '../lib/repeat-while-away.ts';
import type { SealedBox } from '../mcp/sealed-box.ts';
import {
  type AppendOptions,
  parseStreamId,
  type EventLog,
  type LoggedEvent,
  type LogSlice,
} from '../sessions/event-log.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { RedisConnection } from './redis-connection.ts';
import { appendEvents } from './scripts/append-events.ts';
import { endStreams } from './scripts/end-streams.ts';
import { readEvents } from './scripts/read-events.ts';
import { isSessionId, toSessionKeys } from './session-keys.ts';
import { SessionSeal } from './session-seal.ts';

/** What a log on Redis is made with. Whatever a bound forgets, a reader is told of as a gap. */
export interface RedisEventLogOptions {
  /** Stays the caller's: closing the log leaves it open. */
  readonly redis: RedisConnection;
  /** Seals what rests in Redis; all instances have its keys. */
  readonly box: SealedBox;
  readonly logger: Logger;
  /** Default 1000; the oldest go first. */
  readonly maxEventsPerStream?: number;
  /** Default 64; complete streams go first, then the one that was longest without an event. */
  readonly maxStreamsPerSession?: number;
  /** As they rest, a third more than their texts. Default 4 MiB; the oldest events go first, the newest stays. */
  readonly maxBytesPerSession?: number;
  /** How long a complete stream can be read. Default 5 minutes. */
  readonly retainMs?: number;
  /** How long a stream is kept without an append or a read. Default 1 hour; not below the session's. */
  readonly idleTtlMs?: number;
  /** How long what comes late for an ended session is refused. Default 15 minutes; not below the longest call. */
  readonly endedTtlMs?: number;
  /** Milliseconds since the epoch. Default: Redis's own clock, which all instances share. */
  readonly now?: () => number;
}

/** What one event costs beside its text: empty priming events must not slip under a bound on bytes. */
const eventOverheadBytes = 64;

/** What follows the stream in an event's id, in its one spelling: the stream's epoch and the event's position. */
const placePattern = /^([1-9]\d{0,14})-(0|[1-9]\d{0,14})$/;

/** Streams in Redis, shared by all instances: an append, a read and an end are one round trip each. */
export function createRedisEventLog(options: RedisEventLogOptions): EventLog {
  return new RedisEventLog(options);
}

class RedisEventLog implements EventLog {
  readonly #redis: RedisConnection;
  readonly #seal: SessionSeal;
  readonly #now: (() => number) | undefined;
  readonly #retainMs: string;
  readonly #idleTtlMs: string;
  readonly #endedTtlMs: string;
  /** The arguments of an append that are the same each time. */
  readonly #bounds: readonly string[];

  constructor(options: RedisEventLogOptions) {
    this.#redis = options.redis;
    this.#seal = new SessionSeal(options.box, options.logger);
    this.#now = options.now;
    this.#retainMs = String(options.retainMs ?? 5 * 60_000);
    this.#idleTtlMs = String(options.idleTtlMs ?? 60 * 60_000);
    this.#endedTtlMs = String(options.endedTtlMs ?? 15 * 60_000);
    this.#bounds = [
      options.maxEventsPerStream ?? 1000,
      options.maxStreamsPerSession ?? 64,
      options.maxBytesPerSession ?? 4 * 1024 * 1024,
      eventOverheadBytes,
    ].map(String);
  }

  async append(
    sessionId: string,
    streamId: string,
    data: string,
    options: AppendOptions = {},
  ): Promise<string | undefined> {
    return (await this.appendAll(sessionId, streamId, [data], options))?.[0];
  }

  async appendAll(
    sessionId: string,
    streamId: string,
    texts: readonly string[],
    options: AppendOptions = {},
  ): Promise<readonly string[] | undefined> {
    if (!isSessionId(sessionId)) return undefined;
    if (texts.length === 0) return [];
    const keys = toSessionKeys(this.#redis.prefix, sessionId);
    // Sealed once: the script knows events that are repeated by their sealed texts.
    const sealed = texts.map((data) => this.#seal.seal('event', [sessionId, streamId], data));
    const run = (): Promise<unknown> =>
      this.#redis.runScript(
        appendEvents,
        [keys.ended, keys.streams, `${keys.streamPrefix}${streamId}`],
        [
          this.#clockArg(),
          streamId,
          options.isTerminal === true ? '1' : '',
          ...this.#bounds,
          this.#retainMs,
          this.#idleTtlMs,
          keys.streamPrefix,
          ...sealed,
        ],
      );
    const place = await repeatWhileAway(run, options.waitMs ?? 0);
    if (typeof place !== 'string') return undefined;
    // Of the last one. Stored at once, they are neighbours.
    const [epoch, last] = place.split('-').map(Number) as [number, number];
    return texts.map((_, index) => `${streamId}_${epoch}-${last - (texts.length - 1 - index)}`);
  }

  async read(sessionId: string, afterEventId: string, limit: number): Promise<LogSlice> {
    const streamId = parseStreamId(afterEventId);
    if (streamId === undefined || !isSessionId(sessionId)) return { kind: 'gap' };
    const [, epoch, position] = placePattern.exec(afterEventId.slice(streamId.length + 1)) ?? [];
    if (epoch === undefined || position === undefined) return { kind: 'gap' };
    const keys = toSessionKeys(this.#redis.prefix, sessionId);
    const reply = await this.#redis.runScript(
      readEvents,
      [keys.streams, `${keys.streamPrefix}${streamId}`],
      [
        this.#clockArg(),
        streamId,
        epoch,
        position,
        String(Math.max(limit, 0)),
        this.#retainMs,
        this.#idleTtlMs,
      ],
    );
    if (!Array.isArray(reply)) return { kind: 'gap' };
    // The script returns 1 or 0, then texts.
    const [isComplete, ...texts] = reply as unknown as readonly [number, ...string[]];
    const events: LoggedEvent[] = [];
    for (const [index, text] of texts.entries()) {
      const data = this.#seal.open('event', [sessionId, streamId], text.slice(text.indexOf(' ') + 1));
      // What follows a message that cannot be read is not known to follow.
      if (data === undefined) return { kind: 'gap' };
      events.push({ id: `${streamId}_${epoch}-${Number(position) + 1 + index}`, data });
    }
    return { kind: 'events', events, isComplete: isComplete === 1 };
  }

  async end(sessionId: string): Promise<void> {
    if (!isSessionId(sessionId)) return;
    const keys = toSessionKeys(this.#redis.prefix, sessionId);
    await this.#redis.runScript(
      endStreams,
      [keys.ended, keys.streams],
      [this.#endedTtlMs, keys.streamPrefix],
    );
  }

  async close(): Promise<void> {}

  #clockArg(): string {
    return this.#now === undefined ? '' : String(this.#now());
  }
}
