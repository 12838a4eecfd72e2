/**
 * A session's GET streams: its standalone stream, where the server speaks unasked, and streams of calls that a client
 * comes back for with `Last-Event-ID`. Both are read from the event log, so any instance can serve them.
 * MCP 2025-11-25, Transports, Listening for Messages and Resumability.
 */
import type { Principal } from '../auth/principal.ts';
import { RequestError } from '../errors.ts';
import { parseStreamId } from '../sessions/event-log.ts';
import type { SessionRecord } from '../sessions/session-store.ts';
import type { EventSink } from './call-reply.ts';
import { concernsTenant, toNotification } from './change-feed.ts';
import type { ServerChange } from './dispatch-target.ts';
import type { Engine } from './engine.ts';
import { renderMessage } from './json-rpc.ts';
import { canPollStreams } from './protocol-versions.ts';
import { createSessionTail, type SessionTail } from './session-tail.ts';

/** The stream id of what the server says unasked. */
const standalone = 'g';
/** How long a session's standalone stream goes on collecting after its connection was lost. */
const collectAfterCloseMs = 60_000;
/** Most sessions that collect without a connection, on one instance. */
const maxCollecting = 10_000;

/** Serves GET streams of one engine. */
export interface SessionStreams {
  /**
   * Opens the standalone stream, or resumes the stream that `lastEventId` belongs to.
   *
   * @returns the stream, which waits for its connection
   * @throws RequestError `request_invalid` for an id that is no event of ours, `too_many_streams` past the limit
   */
  open(session: SessionRecord, principal: Principal, lastEventId: string | undefined): Promise<OpenedStream>;
  close(): void;
}

/** A stream that was opened and counts as open. One of the two is called. */
export interface OpenedStream {
  /** Gives it its connection. */
  attach(sink: EventSink): void;
  /** There will be no connection: the client left before its reply began. */
  abandon(): void;
}

/** Serves the GET streams of an engine. */
export function createSessionStreams(engine: Engine): SessionStreams {
  const listeners = new Listeners(engine);
  return {
    open: async (session, principal, lastEventId) => {
      const streamId = lastEventId === undefined ? standalone : parseStreamId(lastEventId);
      if (streamId === undefined)
        throw new RequestError('request_invalid', 'Last-Event-ID is not an event of this server');
      return streamId === standalone || lastEventId === undefined
        ? openStandalone(engine, listeners, { session, principal, lastEventId })
        : resumeCall(engine, { session, principal, lastEventId, streamId });
    },
    close: () => {
      listeners.close();
    },
  };
}

interface Opening {
  readonly session: SessionRecord;
  readonly principal: Principal;
  readonly lastEventId: string | undefined;
}

async function openStandalone(
  engine: Engine,
  listeners: Listeners,
  { session, principal, lastEventId }: Opening,
): Promise<OpenedStream> {
  const cursor = lastEventId ?? (await prime(engine, session));
  const tail: SessionTail = createSessionTail(engine, {
    session,
    principal,
    cursor,
    isCall: false,
    onClosed: () => {
      listeners.leave(session.id, tail);
    },
    // What was lost cannot be sent again, but lists and resources can be looked at again.
    onGap: async (sink) => {
      const next = await prime(engine, session);
      for (const change of allChanges(engine, listeners.find(session.id) ?? session))
        sink.send({ id: next, data: renderMessage(toNotification(change)) });
      return next;
    },
  });
  await endOnFailure(tail, () => listeners.join(session, tail, lastEventId === undefined));
  return {
    attach: (sink) => {
      if (lastEventId === undefined && canPollStreams(session.protocolVersion))
        sink.send({ id: tail.cursor, data: '', retryMs: engine.limits.retryMs });
      tail.attach(sink);
    },
    abandon: () => {
      tail.end(undefined);
    },
  };
}

async function endOnFailure(tail: SessionTail, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    tail.end(undefined);
    throw error;
  }
}

/** An event that stands for now: where a new standalone stream begins. */
async function prime(engine: Engine, session: SessionRecord): Promise<string> {
  const id = await engine.events.append(session.id, standalone, '');
  if (id === undefined) throw new RequestError('session_unknown', 'Unknown session ID');
  return id;
}

async function resumeCall(
  engine: Engine,
  {
    session,
    principal,
    lastEventId,
    streamId,
  }: Opening & { readonly lastEventId: string; readonly streamId: string },
): Promise<OpenedStream> {
  let unsubscribe = async (): Promise<void> => {};
  const tail = createSessionTail(engine, {
    session,
    principal,
    cursor: lastEventId,
    isCall: true,
    onClosed: () => void unsubscribe(),
    onGap: async () => undefined,
  });
  await endOnFailure(tail, async () => {
    unsubscribe = await engine.bus.subscribe(`session.${session.id}`, (message) => {
      if (message === 'ended') tail.end(undefined);
      else if (message === streamId) tail.pump();
    });
  });
  // It may have been ended while it subscribed.
  if (tail.isClosed) await unsubscribe();
  return {
    attach: (sink) => {
      tail.attach(sink);
    },
    abandon: () => {
      tail.end(undefined);
    },
  };
}

/**
 * A session that hears of changes here: its standalone stream is open, or was a moment ago. One instance at a time
 * collects for a session, the one where the newest connection was opened.
 */
interface Listener {
  session: SessionRecord;
  /** Open connections, newest last. Only the newest is written to: a message goes to one stream. */
  readonly tails: SessionTail[];
  /** False while another instance collects. */
  isCollecting: boolean;
  /** Runs while no connection is open. */
  forgetTimer: NodeJS.Timeout | undefined;
  /** Resolves when `session` is as the store has it. */
  refreshed: Promise<void>;
  unsubscribe: () => Promise<void>;
}

/** On `session.<id>`: an instance collects from now on. */
const collects = 'collects ';
/** On `session.<id>`: the instance that collects has no connection any more; the last one had reached this event. */
const left = 'left ';

/** The sessions that hear of changes on this instance. */
class Listeners {
  readonly #engine: Engine;
  readonly #bySession = new Map<string, Listener>();
  readonly #stopHearing: () => void;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#stopHearing = engine.changes.subscribe((change) => {
      for (const listener of this.#bySession.values()) {
        if (!listener.isCollecting) continue;
        this.#tell(listener, change).catch((error: unknown) => {
          engine.logger.error('mcp.change_not_told', { kind: change.kind }, error);
        });
      }
    });
  }

  /** The session as it was last seen. */
  find(sessionId: string): SessionRecord | undefined {
    return this.#bySession.get(sessionId)?.session;
  }

  /** @param isNew the connection goes on where the one before it is, if there is one; otherwise it has a place of its own */
  async join(session: SessionRecord, tail: SessionTail, isNew: boolean): Promise<void> {
    const listener = this.#bySession.get(session.id) ?? (await this.#add(session));
    if (tail.isClosed) {
      if (listener.tails.length === 0) this.#forgetLater(listener);
      return;
    }
    clearTimeout(listener.forgetTimer);
    const older = listener.tails.at(-1);
    older?.pause();
    if (isNew && older !== undefined && listener.isCollecting) tail.takeOver(older.cursor);
    listener.session = session;
    listener.tails.push(tail);
    await this.#collect(listener);
  }

  /** Another connection of the session takes over; without one, messages are collected for a while. */
  leave(sessionId: string, tail: SessionTail): void {
    const listener = this.#bySession.get(sessionId);
    const at = listener?.tails.indexOf(tail) ?? -1;
    if (listener === undefined || at < 0) return;
    listener.tails.splice(at, 1);
    const next = listener.tails.at(-1);
    if (next === undefined) {
      this.#forgetLater(listener);
      if (listener.isCollecting) this.#publish(listener, left + tail.cursor);
    } else if (at === listener.tails.length && listener.isCollecting) {
      // Only from the one that was written to; an older connection that leaves changes nothing.
      next.takeOver(tail.cursor);
    }
  }

  close(): void {
    this.#stopHearing();
    for (const listener of this.#bySession.values()) this.#forget(listener);
  }

  async #add(session: SessionRecord): Promise<Listener> {
    const listener: Listener = {
      session,
      tails: [],
      isCollecting: true,
      forgetTimer: undefined,
      refreshed: Promise.resolve(),
      unsubscribe: async () => {},
    };
    const unsubscribe = await this.#engine.bus.subscribe(`session.${session.id}`, (message) => {
      this.#hear(listener, message);
    });
    // Another connection of the session may have been first.
    const known = this.#bySession.get(session.id);
    if (known !== undefined) {
      await unsubscribe();
      return known;
    }
    listener.unsubscribe = unsubscribe;
    this.#bySession.set(session.id, listener);
    return listener;
  }

  #hear(listener: Listener, message: string): void {
    const { tails } = listener;
    if (message === 'ended') for (const tail of tails.slice()) tail.end(undefined);
    else if (message === 'changed') listener.refreshed = this.#refresh(listener);
    else if (message === standalone) {
      if (listener.isCollecting) tails.at(-1)?.pump();
    } else if (message.startsWith(collects)) {
      if (message.slice(collects.length) !== this.#engine.instanceId) this.#yield(listener);
    } else if (message.startsWith(left) && !listener.isCollecting) {
      tails.at(-1)?.takeOver(message.slice(left.length));
      this.#collect(listener).catch((error: unknown) => {
        this.#engine.logger.error('mcp.stream_failed', {}, error);
      });
    }
  }

  async #collect(listener: Listener): Promise<void> {
    listener.isCollecting = true;
    await this.#engine.bus.publish(`session.${listener.session.id}`, collects + this.#engine.instanceId);
  }

  /** Another instance collects now. */
  #yield(listener: Listener): void {
    listener.isCollecting = false;
    listener.tails.at(-1)?.pause();
    if (listener.tails.length === 0) this.#forget(listener);
  }

  async #tell(listener: Listener, change: ServerChange): Promise<void> {
    await listener.refreshed;
    const { session } = listener;
    const isWanted = change.kind === 'list_changed' || session.subscriptions.includes(change.uri);
    if (!isWanted || !concernsTenant(change, session.tenantId)) return;
    const id = await this.#engine.events.append(
      session.id,
      standalone,
      renderMessage(toNotification(change)),
    );
    if (id !== undefined) await this.#engine.bus.publish(`session.${session.id}`, standalone);
  }

  async #refresh(listener: Listener): Promise<void> {
    try {
      listener.session = (await this.#engine.sessions.load(listener.session.id)) ?? listener.session;
    } catch (error) {
      this.#engine.logger.error('mcp.session_not_refreshed', {}, error);
    }
  }

  #publish(listener: Listener, message: string): void {
    this.#engine.bus.publish(`session.${listener.session.id}`, message).catch((error: unknown) => {
      this.#engine.logger.error('mcp.stream_failed', {}, error);
    });
  }

  #forgetLater(listener: Listener): void {
    clearTimeout(listener.forgetTimer);
    if (this.#bySession.size > maxCollecting) {
      this.#forget(listener);
      return;
    }
    listener.forgetTimer = setTimeout(() => {
      this.#forget(listener);
    }, collectAfterCloseMs);
    listener.forgetTimer.unref();
  }

  #forget(listener: Listener): void {
    clearTimeout(listener.forgetTimer);
    if (this.#bySession.get(listener.session.id) === listener) this.#bySession.delete(listener.session.id);
    void listener.unsubscribe();
  }
}

function allChanges(engine: Engine, session: SessionRecord): readonly ServerChange[] {
  const { tools, prompts, resources } = engine.target.capabilities;
  const lists = [
    ...(tools?.listChanged === true ? (['tools'] as const) : []),
    ...(prompts?.listChanged === true ? (['prompts'] as const) : []),
    ...(resources?.listChanged === true ? (['resources'] as const) : []),
  ];
  const { tenantId } = session;
  return [
    ...lists.map((list) => ({ kind: 'list_changed', list, tenantId }) as const),
    ...session.subscriptions.map((uri) => ({ kind: 'resource_updated', uri, tenantId }) as const),
  ];
}
