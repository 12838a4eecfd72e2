import { RecencyList, type RecencyNode } from '../lib/recency-list.ts';
import { RecentSet } from '../lib/recent-set.ts';
import { parseStreamId, type EventLog, type LogSlice } from './event-log.ts';
import { MemoryEventStream, toEventSize } from './memory-event-stream.ts';

/** Bounds of a memory event log. Whatever a bound forgets, a reader is told of as a gap. */
export interface MemoryEventLogOptions {
  /** Default 1000; the oldest go first. */
  readonly maxEventsPerStream?: number;
  /** Default 64; complete streams go first, then the one that was longest without an event. */
  readonly maxStreamsPerSession?: number;
  /** Default 4 MiB; the oldest events go first. The newest event is kept whatever its size. */
  readonly maxBytesPerSession?: number;
  /** Everything together. Default 256 MiB; the session that was longest without use goes first. */
  readonly maxBytes?: number;
  /** Sessions with streams. Default 100,000; the one that was longest without use goes first. */
  readonly maxSessions?: number;
  /** Ended sessions whose late appends are still recognised. Default 10,000. */
  readonly maxEndedSessions?: number;
  /** How long a complete stream can be read. Default 5 minutes. */
  readonly retainMs?: number;
  /** How long a session's streams are kept without an append or a read. Default 1 hour; not below the session's. */
  readonly idleTtlMs?: number;
  readonly now?: () => number;
}

/** Forgotten things cleared away per append: more than one, so that clearing overtakes appending. */
const maxSweptPerAppend = 4;

/** Streams of this process, gone when it ends. Without timers: appending clears away what is past its time. */
export function createMemoryEventLog(options: MemoryEventLogOptions = {}): EventLog {
  return new MemoryEventLog(options);
}

class SessionStreams {
  readonly id: string;
  readonly streams = new Map<string, MemoryEventStream>();
  readonly place: RecencyNode<SessionStreams>;
  usedAt: number;
  bytes = 0;
  events = 0;

  constructor(id: string, usedAt: number, all: RecencyList<SessionStreams>) {
    this.id = id;
    this.usedAt = usedAt;
    this.place = all.add(this);
  }
}

interface CompleteStream {
  readonly session: SessionStreams;
  readonly stream: MemoryEventStream;
}

class MemoryEventLog implements EventLog {
  readonly #limits: Required<MemoryEventLogOptions>;
  readonly #sessions = new Map<string, SessionStreams>();
  readonly #byUse = new RecencyList<SessionStreams>();
  readonly #complete = new RecencyList<CompleteStream>();
  readonly #completePlaces = new Map<MemoryEventStream, RecencyNode<CompleteStream>>();
  readonly #ended: RecentSet<string>;
  #bytes = 0;
  // One clock-led counter for all streams. A stream that is forgotten and begun again never repeats a position, so
  // an old cursor cannot be taken for a new one; and how much others log cannot be read from the numbers.
  #lastPosition = 0;

  constructor(options: MemoryEventLogOptions) {
    this.#limits = {
      maxEventsPerStream: 1000,
      maxStreamsPerSession: 64,
      maxBytesPerSession: 4 * 1024 * 1024,
      maxBytes: 256 * 1024 * 1024,
      maxSessions: 100_000,
      maxEndedSessions: 10_000,
      retainMs: 5 * 60_000,
      idleTtlMs: 60 * 60_000,
      now: Date.now,
      ...options,
    };
    this.#ended = new RecentSet(this.#limits.maxEndedSessions);
  }

  async append(
    sessionId: string,
    streamId: string,
    data: string,
    options: { isTerminal?: boolean } = {},
  ): Promise<string | undefined> {
    return this.#append(sessionId, streamId, data, options.isTerminal === true);
  }

  #append(sessionId: string, streamId: string, data: string, isTerminal: boolean): string | undefined {
    const now = this.#limits.now();
    this.#sweep(now);
    if (this.#ended.has(sessionId)) return undefined;
    const session = this.#findSession(sessionId, now) ?? this.#addSession(sessionId, now);
    const stream = this.#findStream(session, streamId, now) ?? this.#addStream(session, streamId);
    if (stream.completedAt !== undefined) return undefined;
    this.#touch(session, now);

    this.#lastPosition = Math.max(this.#lastPosition + 1, now * 1000);
    stream.append(this.#lastPosition, data);
    session.events += 1;
    session.bytes += toEventSize(data);
    this.#bytes += toEventSize(data);
    if (isTerminal) {
      stream.completedAt = now;
      this.#completePlaces.set(stream, this.#complete.add({ session, stream }));
    }
    if (stream.size > this.#limits.maxEventsPerStream) this.#trim(session, stream);
    this.#shrink(session);
    return toEventId(streamId, this.#lastPosition);
  }

  async appendAll(
    sessionId: string,
    streamId: string,
    texts: readonly string[],
    { isTerminal = false }: { isTerminal?: boolean } = {},
  ): Promise<readonly string[] | undefined> {
    const ids: string[] = [];
    for (const [index, data] of texts.entries()) {
      // Nothing else runs between: a first one that is taken lets all be taken.
      const isLast = index === texts.length - 1;
      const id = this.#append(sessionId, streamId, data, isTerminal && isLast);
      if (id === undefined) return undefined;
      ids.push(id);
    }
    return ids;
  }

  async read(sessionId: string, afterEventId: string, limit: number): Promise<LogSlice> {
    const now = this.#limits.now();
    const session = this.#findSession(sessionId, now);
    const streamId = parseStreamId(afterEventId);
    if (session === undefined || streamId === undefined) return { kind: 'gap' };
    const stream = this.#findStream(session, streamId, now);
    const position = Number(afterEventId.slice(streamId.length + 1));
    if (stream === undefined || toEventId(streamId, position) !== afterEventId) return { kind: 'gap' };
    const found = stream.readAfter(position, Math.max(limit, 0));
    if (found === undefined) return { kind: 'gap' };
    this.#touch(session, now);
    return {
      kind: 'events',
      events: found.map((event) => ({ id: toEventId(streamId, event.position), data: event.data })),
      isComplete:
        stream.completedAt !== undefined && (found.at(-1)?.position ?? position) === stream.lastPosition,
    };
  }

  async end(sessionId: string): Promise<void> {
    this.#ended.add(sessionId);
    const session = this.#sessions.get(sessionId);
    if (session !== undefined) this.#forgetSession(session);
  }

  async close(): Promise<void> {
    this.#sessions.clear();
    this.#byUse.clear();
    this.#complete.clear();
    this.#completePlaces.clear();
    this.#ended.clear();
    this.#bytes = 0;
  }

  #findSession(id: string, now: number): SessionStreams | undefined {
    const session = this.#sessions.get(id);
    if (session === undefined || !this.#isIdle(session, now)) return session;
    this.#forgetSession(session);
    return undefined;
  }

  #addSession(id: string, now: number): SessionStreams {
    const session = new SessionStreams(id, now, this.#byUse);
    this.#sessions.set(id, session);
    return session;
  }

  #findStream(session: SessionStreams, id: string, now: number): MemoryEventStream | undefined {
    const stream = session.streams.get(id);
    if (stream === undefined || !this.#isPastRetention(stream, now)) return stream;
    this.#forgetStream(session, stream);
    return undefined;
  }

  #addStream(session: SessionStreams, id: string): MemoryEventStream {
    if (session.streams.size >= this.#limits.maxStreamsPerSession) {
      const victim = chooseVictim(session.streams.values());
      if (victim !== undefined) this.#forgetStream(session, victim);
    }
    const stream = new MemoryEventStream(id);
    session.streams.set(id, stream);
    return stream;
  }

  #touch(session: SessionStreams, now: number): void {
    session.usedAt = now;
    this.#byUse.touch(session.place);
  }

  #trim(session: SessionStreams, stream: MemoryEventStream): void {
    const size = stream.trim();
    session.events -= 1;
    session.bytes -= size;
    this.#bytes -= size;
  }

  /** Brings the bounds on bytes and sessions back into force after an append to `newest`. */
  #shrink(newest: SessionStreams): void {
    while (newest.bytes > this.#limits.maxBytesPerSession && newest.events > 1) {
      this.#trim(newest, chooseOldest(newest.streams.values()));
    }
    while (this.#bytes > this.#limits.maxBytes || this.#sessions.size > this.#limits.maxSessions) {
      const idlest = this.#byUse.oldest?.value;
      if (idlest === undefined || idlest === newest) return;
      this.#forgetSession(idlest);
    }
  }

  #sweep(now: number): void {
    for (let swept = 0; swept < maxSweptPerAppend; swept += 1) {
      const complete = this.#complete.oldest?.value;
      if (complete === undefined || !this.#isPastRetention(complete.stream, now)) break;
      this.#forgetStream(complete.session, complete.stream);
      if (complete.session.streams.size === 0) this.#forgetSession(complete.session);
    }
    for (let swept = 0; swept < maxSweptPerAppend; swept += 1) {
      const idlest = this.#byUse.oldest?.value;
      if (idlest === undefined || !this.#isIdle(idlest, now)) break;
      this.#forgetSession(idlest);
    }
  }

  #forgetSession(session: SessionStreams): void {
    for (const stream of session.streams.values()) this.#forgetStream(session, stream);
    this.#byUse.remove(session.place);
    this.#sessions.delete(session.id);
  }

  #forgetStream(session: SessionStreams, stream: MemoryEventStream): void {
    while (stream.size > 0) this.#trim(session, stream);
    session.streams.delete(stream.id);
    const place = this.#completePlaces.get(stream);
    if (place === undefined) return;
    this.#complete.remove(place);
    this.#completePlaces.delete(stream);
  }

  #isIdle(session: SessionStreams, now: number): boolean {
    return now >= session.usedAt + this.#limits.idleTtlMs;
  }

  #isPastRetention(stream: MemoryEventStream, now: number): boolean {
    return stream.completedAt !== undefined && now >= stream.completedAt + this.#limits.retainMs;
  }
}

function toEventId(streamId: string, position: number): string {
  return `${streamId}_${position}`;
}

/** The stream to give up for a new one. A session has few, so all are looked at. */
function chooseVictim(streams: Iterable<MemoryEventStream>): MemoryEventStream | undefined {
  let victim: MemoryEventStream | undefined;
  for (const stream of streams) {
    const isComplete = stream.completedAt !== undefined;
    const isVictimComplete = victim?.completedAt !== undefined;
    if (victim === undefined || (isComplete && !isVictimComplete)) victim = stream;
    else if (isComplete === isVictimComplete && stream.lastPosition < victim.lastPosition) victim = stream;
  }
  return victim;
}

/** The stream that holds the session's oldest event. @throws Error when no event is left, which the caller excludes */
function chooseOldest(streams: Iterable<MemoryEventStream>): MemoryEventStream {
  let oldest: MemoryEventStream | undefined;
  for (const stream of streams) {
    if (stream.firstPosition === undefined) continue;
    if (oldest?.firstPosition === undefined || stream.firstPosition < oldest.firstPosition) oldest = stream;
  }
  if (oldest === undefined) throw new Error('A session counts events that none of its streams hold.');
  return oldest;
}
