import type { Principal } from '../auth/principal.ts';
import type { SessionRecord } from '../sessions/session-store.ts';
import type { EventSink } from './call-reply.ts';
import type { Engine } from './engine.ts';
import { canPollStreams } from './protocol-versions.ts';

/** Events read from the log at once. */
const readAtOnce = 100;

/** What a tail reads, for whom, and what to do when it cannot go on. */
export interface TailOptions {
  readonly session: SessionRecord;
  readonly principal: Principal;
  /** Reading starts after this event. */
  readonly cursor: string;
  /**
   * The log no longer holds the cursor. May write to the sink.
   *
   * @returns the event to read on from, or `undefined` to end
   */
  readonly onGap: (sink: EventSink) => Promise<string | undefined>;
  /** Whether the stream is a call's, and ends with its response. */
  readonly isCall: boolean;
  /** The tail is over, whoever ended it. Called once. */
  readonly onClosed: () => void;
}

/** Writes what the event log holds of one stream to one connection, and what comes, until either ends. */
export interface SessionTail {
  /** The last event that was written. */
  readonly cursor: string;
  readonly isClosed: boolean;
  /** Writes nothing more until it takes over: another connection of the stream goes on after its cursor. */
  pause(): void;
  /** Goes on after an event that another connection of the stream had reached. */
  takeOver(cursor: string): void;
  /** Gives the tail its connection. Called once. */
  attach(sink: EventSink): void;
  /** There is something new in the log. */
  pump(): void;
  /** Ends the connection. @param retryMs when the client should come back; `undefined`: it need not */
  end(retryMs: number | undefined): void;
}

/**
 * Reserves a stream for the principal at once, so that a refusal can still be told in the reply's head.
 *
 * @throws RequestError `too_many_streams` past the limit
 */
export function createSessionTail(engine: Engine, options: TailOptions): SessionTail {
  return new LogTail(engine, options);
}

class LogTail implements SessionTail {
  readonly #engine: Engine;
  readonly #options: TailOptions;
  readonly #forget: () => void;
  #cursor: string;
  #sink: EventSink | undefined;
  #isReading = false;
  #isStale = false;
  #isPaused = false;
  #isClosed = false;

  constructor(engine: Engine, options: TailOptions) {
    this.#engine = engine;
    this.#options = options;
    this.#cursor = options.cursor;
    this.#forget = engine.streams.add({
      principal: options.principal,
      sessionId: options.session.id,
      keepAlive: () => {
        this.#sink?.keepAlive();
      },
      look: () => {
        this.#look();
      },
      end: (reason) => {
        // A call that was come back for is waited for like any other: its answer is nowhere else.
        if (reason === 'stopping' && options.isCall) return;
        this.end(reason === 'stopping' ? engine.limits.retryMs : undefined);
      },
    });
  }

  get cursor(): string {
    return this.#cursor;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  pause(): void {
    this.#isPaused = true;
  }

  takeOver(cursor: string): void {
    this.#isPaused = false;
    this.#cursor = cursor;
    this.pump();
  }

  attach(sink: EventSink): void {
    this.#sink = sink;
    sink.onClose(() => {
      this.#close();
    });
    this.pump();
  }

  pump(): void {
    if (this.#isPaused) return;
    if (this.#isReading || this.#sink === undefined) {
      this.#isStale = true;
      return;
    }
    this.#isReading = true;
    this.#read(this.#sink)
      .catch((error: unknown) => {
        this.#engine.logger.error('mcp.stream_failed', {}, error);
        this.end(this.#engine.limits.retryMs);
      })
      .finally(() => {
        this.#isReading = false;
        if (this.#isStale && !this.#isClosed) this.pump();
      });
  }

  end(retryMs: number | undefined): void {
    if (retryMs !== undefined && canPollStreams(this.#options.session.protocolVersion))
      this.#sink?.send({ data: '', retryMs });
    this.#close();
    this.#sink?.end();
  }

  async #read(sink: EventSink): Promise<void> {
    do {
      this.#isStale = false;
      const from = this.#cursor;
      const slice = await this.#engine.events.read(this.#options.session.id, from, readAtOnce);
      // While it read, another connection of the stream went on, and perhaps it took over from that one again.
      if (this.#isPaused) return;
      if (this.#cursor !== from) {
        this.#isStale = true;
        continue;
      }
      if (slice.kind === 'gap') {
        const next = await this.#options.onGap(sink);
        if (next === undefined) {
          this.end(undefined);
          return;
        }
        this.#cursor = next;
        this.#isStale = true;
        continue;
      }
      for (const event of slice.events) {
        // A priming event was told when it was made, to the connection it was made for.
        if (event.data !== '' && !sink.send(event)) return;
        this.#cursor = event.id;
      }
      if (slice.isComplete) {
        this.end(undefined);
        return;
      }
      this.#isStale ||= slice.events.length === readAtOnce;
    } while (this.#isStale && !this.#isClosed);
  }

  /** An open stream is use: it keeps its session from expiring, and ends with it. */
  #look(): void {
    // A wake-up may have been lost on its way.
    if (!this.#isPaused) this.pump();
    this.#engine.sessions.load(this.#options.session.id).then(
      (record) => {
        if (record === undefined) this.end(undefined);
      },
      (error: unknown) => {
        this.#engine.logger.error('mcp.session_not_touched', {}, error);
      },
    );
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#forget();
    this.#options.onClosed();
  }
}
