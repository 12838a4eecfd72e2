import type { MessageBus } from '../sessions/message-bus.ts';
import type { EventLog } from '../sessions/event-log.ts';

/** One Server-Sent Event. */
export interface StreamEvent {
  /** Absent on streams that cannot be resumed. */
  readonly id?: string;
  /** One JSON-RPC message, or empty to prime the client with an id. */
  readonly data: string;
  readonly retryMs?: number;
}

/** Where a stream's events are written: one HTTP response. */
export interface EventSink {
  readonly isOpen: boolean;
  /** @returns false when the client is gone, or was cut for reading too slowly */
  send(event: StreamEvent): boolean;
  /** A comment line, which clients ignore. */
  keepAlive(): void;
  end(): void;
  /** Calls back once when the client is gone; at once when it already is. */
  onClose(listener: () => void): void;
}

/** How a call is answered: one JSON text, or a stream. */
export type CallOutcome =
  | {
      readonly kind: 'json';
      readonly status: number;
      readonly text: string;
      readonly headers: Readonly<Record<string, string>> | undefined;
    }
  | { readonly kind: 'stream'; readonly stream: CallStream };

/** The stream of one call, from its first message to its response. */
export interface CallStream {
  /**
   * Resolves when the stream's first event can be written, and never rejects: without it, a client that had seen the
   * head would not know what to come back for. Absent where there is nothing to wait for.
   */
  readonly primed?: Promise<void>;
  /** Gives the stream its connection. Called once. */
  attach(sink: EventSink): void;
  write(message: string): void;
  /**
   * Writes the response and ends the stream.
   *
   * @returns settles when the response can be found by whoever comes back for it; absent where nobody can
   */
  finish(message: string): Promise<void> | undefined;
  /** Ends the connection and leaves the stream to be resumed. */
  release(retryMs: number): void;
  keepAlive(): void;
}

/** Where one request is answered. */
export interface Reply {
  /** Makes the answer a stream. */
  upgrade(): CallStream;
  /** Sends a message ahead of the response; after it, nothing. */
  push(message: string): void;
  /**
   * Gives the response. Only the first counts. Status and headers only reach HTTP when it is the whole answer.
   *
   * @returns see `CallStream.finish`
   */
  finish(status: number, text: string, headers?: Readonly<Record<string, string>>): Promise<void> | undefined;
}

/**
 * The answer to one POST. It stays undecided until the handler says something before its result, or takes long: then
 * it becomes a stream. Otherwise it is one JSON text, and no stream was ever made.
 */
export class CallReply implements Reply {
  readonly outcome: Promise<CallOutcome>;
  readonly #openStream: () => CallStream;
  #decide!: (outcome: CallOutcome) => void;
  #stream: CallStream | undefined;
  #isFinished = false;

  constructor(openStream: () => CallStream) {
    this.#openStream = openStream;
    this.outcome = new Promise((resolve) => {
      this.#decide = resolve;
    });
  }

  get isFinished(): boolean {
    return this.#isFinished;
  }

  /** The stream, once there is one. */
  get stream(): CallStream | undefined {
    return this.#stream;
  }

  upgrade(): CallStream {
    if (this.#stream === undefined) {
      const stream = this.#openStream();
      this.#stream = stream;
      if (stream.primed === undefined) this.#decide({ kind: 'stream', stream });
      else void stream.primed.then(() => this.#decide({ kind: 'stream', stream }));
    }
    return this.#stream;
  }

  push(message: string): void {
    if (!this.#isFinished) this.upgrade().write(message);
  }

  finish(
    status: number,
    text: string,
    headers?: Readonly<Record<string, string>>,
  ): Promise<void> | undefined {
    if (this.#isFinished) return undefined;
    this.#isFinished = true;
    if (this.#stream !== undefined) return this.#stream.finish(text);
    this.#decide({ kind: 'json', status, text, headers });
    return undefined;
  }
}

/**
 * Parts of one answer for the requests of a batch: an array, or a stream that ends with the last response.
 *
 * @see MCP 2025-03-26, Transports, Sending Messages, item 5
 */
export function toBatchReplies(whole: CallReply, count: number): readonly Reply[] {
  let unsent: string[] = [];
  let left = count;
  return Array.from({ length: count }, () => {
    let isFinished = false;
    return {
      upgrade: () => whole.upgrade(),
      push: (message: string) => {
        if (!isFinished) whole.push(message);
      },
      finish: (_status: number, text: string) => {
        if (isFinished) return undefined;
        isFinished = true;
        left -= 1;
        unsent.push(text);
        if (whole.stream === undefined)
          return left === 0 ? whole.finish(200, `[${unsent.join(',')}]`) : undefined;
        const ready = unsent;
        unsent = [];
        const last = left === 0 ? ready.pop() : undefined;
        for (const response of ready) whole.push(response);
        return last === undefined ? undefined : whole.finish(200, last);
      },
    };
  });
}

/** A stream that lives and dies with its connection: the modern era's. */
export function createPlainStream(): CallStream {
  let sink: EventSink | undefined;
  const early: string[] = [];
  let isFinished = false;
  const send = (data: string): void => {
    if (sink === undefined) early.push(data);
    else sink.send({ data });
  };
  return {
    attach: (given) => {
      sink = given;
      for (const data of early.splice(0)) sink.send({ data });
      if (isFinished) sink.end();
    },
    write: send,
    finish: (message) => {
      send(message);
      isFinished = true;
      sink?.end();
      return undefined;
    },
    release: () => {},
    keepAlive: () => sink?.keepAlive(),
  };
}

/** Most events that wait for the connection of a stream: as a rule it is there at once. */
const maxEarlyEvents = 100;

/**
 * Most events in one trip to the log. Well below the events that may wait for a connection: it comes a moment after the first
 * trip, which must not have filled its place.
 */
const maxEventsAtOnce = 16;

/** How long the messages of a call wait for a log that is away. Beyond a restart of it, within a client's patience. */
const storeWaitMs = 8000;

/** What a resumable stream is kept in. */
export interface DurableStreamOptions {
  readonly log: EventLog;
  readonly bus: MessageBus;
  readonly sessionId: string;
  readonly streamId: string;
  /** Primes the client with an id at once, where its revision can read one. `undefined`: do not. */
  readonly primeRetryMs: number | undefined;
  readonly onError: (error: unknown) => void;
}

/**
 * A stream that survives its connection: every message is stored before it is written, so a client that comes back
 * with `Last-Event-ID` finds the rest. MCP 2025-11-25, Transports, Resumability and Redelivery.
 */
export function createDurableStream(options: DurableStreamOptions): CallStream {
  const { bus, sessionId, streamId } = options;
  let sink: EventSink | undefined;
  let isReleased = false;
  let isEnded = false;
  const early: StreamEvent[] = [];
  let tail: Promise<void> = Promise.resolve();
  const send = (event: StreamEvent): void => {
    if (isReleased) return;
    if (sink !== undefined) {
      sink.send(event);
      return;
    }
    early.push(event);
    // Its client left before it became a stream. Should one come after all, it finds the rest in the log.
    if (early.length === maxEarlyEvents) {
      isReleased = true;
      isEnded = true;
    }
  };
  const store = createPatientAppend(options, (data) => send({ data }));
  /** What is said before the log is free again: the priming event and the first message are one trip to it. */
  let batch: UnstoredEvent[] | undefined;
  const flush = async (events: readonly UnstoredEvent[]): Promise<void> => {
    const ids = await store(events);
    if (ids === undefined) return;
    for (const [index, { data, retryMs }] of events.entries()) {
      send({ id: ids[index] as string, data, ...(retryMs === undefined ? {} : { retryMs }) });
    }
    // For whoever reads the stream elsewhere; nobody here waits for that.
    bus.publish(`session.${sessionId}`, streamId).catch(options.onError);
  };
  const append = (event: UnstoredEvent): void => {
    if (batch !== undefined && batch.length < maxEventsAtOnce) {
      batch.push(event);
      return;
    }
    const own = [event];
    batch = own;
    tail = tail
      .then(() => {
        if (batch === own) batch = undefined;
        return flush(own);
      })
      .catch(options.onError);
  };
  const end = (): void => {
    isEnded = true;
    sink?.end();
  };
  if (options.primeRetryMs !== undefined) append({ data: '', retryMs: options.primeRetryMs });
  const primed = tail;
  const afterTail = (then: () => void): void => {
    // What is said later comes after it.
    batch = undefined;
    tail = tail.then(then).catch(options.onError);
  };
  return {
    primed,
    attach: (given) => {
      sink = given;
      for (const event of early.splice(0)) sink.send(event);
      if (isEnded) sink.end();
    },
    write: (message) => {
      append({ data: message });
    },
    finish: (message) => {
      append({ data: message, isTerminal: true });
      afterTail(end);
      return tail;
    },
    release: (retryMs) => {
      // Without an id the client could not come back.
      if (options.primeRetryMs === undefined) return;
      afterTail(() => {
        send({ data: '', retryMs });
        isReleased = true;
        end();
      });
    },
    keepAlive: () => sink?.keepAlive(),
  };
}

/** What is to be stored, then sent. */
interface UnstoredEvent {
  readonly data: string;
  readonly retryMs?: number;
  readonly isTerminal?: boolean;
}

/** Appends to a log that may be away. While it is for too long, a client that is still there is told all the same. */
function createPatientAppend(
  { log, sessionId, streamId }: DurableStreamOptions,
  sendUnstored: (data: string) => void,
): (events: readonly UnstoredEvent[]) => Promise<readonly string[] | undefined> {
  let isAway = false;
  const sendAll = (events: readonly UnstoredEvent[]): void => {
    for (const { data } of events) sendUnstored(data);
  };
  return async (events) => {
    // Only the last can be: nothing is said after it.
    const isTerminal = events.at(-1)?.isTerminal === true;
    if (isAway && !isTerminal) {
      sendAll(events);
      return undefined;
    }
    try {
      const waitMs = isAway ? 0 : storeWaitMs;
      const texts = events.map(({ data }) => data);
      return await log.appendAll(sessionId, streamId, texts, { isTerminal, waitMs });
    } catch (error) {
      isAway = true;
      sendAll(events);
      throw error;
    }
  };
}
