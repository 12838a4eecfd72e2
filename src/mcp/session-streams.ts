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
   * @returns what writes the stream to its connection
   * @throws RequestError `request_invalid` for an id that is no event of ours, `unavailable` past the limit of streams
   */
  open(
    session: SessionRecord,
    principal: Principal,
    lastEventId: string | undefined,
  ): Promise<(sink: EventSink) => void>;
  close(): void;
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
  opening: Opening,
): Promise<(sink: EventSink) => void> {
  const { session, principal, lastEventId } = opening;
  const cursor = lastEventId ?? (await prime(engine, session));
  const listener = await listeners.join(session);
  const tail: SessionTail = createSessionTail(engine, {
    session,
    principal,
    cursor,
    onClosed: () => {
      listeners.leave(listener, tail);
    },
    // What was lost cannot be sent again, but lists and resources can be looked at again.
    onGap: async (sink) => {
      const next = await prime(engine, session);
      for (const change of allChanges(engine, listener.session))
        sink.send({ id: next, data: renderMessage(toNotification(change)) });
      return next;
    },
  });
  listener.tails.push(tail);
  return (sink) => {
    if (lastEventId === undefined && canPollStreams(session.protocolVersion)) {
      sink.send({ id: cursor, data: '', retryMs: engine.limits.retryMs });
    }
    tail.attach(sink);
  };
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
): Promise<(sink: EventSink) => void> {
  const subscription: { end: () => Promise<void> } = { end: async () => {} };
  const tail = createSessionTail(engine, {
    session,
    principal,
    cursor: lastEventId,
    onClosed: () => void subscription.end(),
    onGap: async () => undefined,
  });
  subscription.end = await engine.bus.subscribe(`session.${session.id}`, (message) => {
    if (message === 'ended') tail.end(undefined);
    else if (message === streamId) tail.pump();
  });
  return (sink) => {
    tail.attach(sink);
  };
}

/** A session that hears of changes here: its standalone stream is open, or was a moment ago. */
interface Listener {
  session: SessionRecord;
  /** Open connections, newest last. Only the newest is written to: a message goes to one stream. */
  readonly tails: SessionTail[];
  collecting: NodeJS.Timeout | undefined;
  unsubscribe: () => Promise<void>;
}

/** The sessions that hear of changes on this instance. */
class Listeners {
  readonly #engine: Engine;
  readonly #bySession = new Map<string, Listener>();
  readonly #stopHearing: () => void;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#stopHearing = engine.changes.subscribe((change) => {
      for (const listener of this.#bySession.values()) {
        this.#tell(listener, change).catch((error: unknown) => {
          engine.logger.error('mcp.change_not_told', { kind: change.kind }, error);
        });
      }
    });
  }

  async join(session: SessionRecord): Promise<Listener> {
    const known = this.#bySession.get(session.id);
    if (known !== undefined) {
      known.session = session;
      clearTimeout(known.collecting);
      known.collecting = undefined;
      return known;
    }
    const listener: Listener = { session, tails: [], collecting: undefined, unsubscribe: async () => {} };
    this.#bySession.set(session.id, listener);
    listener.unsubscribe = await this.#engine.bus.subscribe(`session.${session.id}`, (message) => {
      if (message === 'ended') for (const tail of listener.tails.slice()) tail.end(undefined);
      else if (message === 'changed') void this.#refresh(listener);
      else if (message === standalone) listener.tails.at(-1)?.pump();
    });
    return listener;
  }

  /** Another connection of the session takes over; without one, messages are collected for a while. */
  leave(listener: Listener, tail: SessionTail): void {
    const at = listener.tails.indexOf(tail);
    if (at >= 0) listener.tails.splice(at, 1);
    const next = listener.tails.at(-1);
    if (next !== undefined) {
      // Only from the one that was written to; an older connection that leaves changes nothing.
      if (at === listener.tails.length) next.takeOver(tail.cursor);
      return;
    }
    if (this.#bySession.size > maxCollecting) {
      this.#forget(listener);
      return;
    }
    listener.collecting = setTimeout(() => {
      this.#forget(listener);
    }, collectAfterCloseMs);
    listener.collecting.unref();
  }

  close(): void {
    this.#stopHearing();
    for (const listener of this.#bySession.values()) this.#forget(listener);
  }

  async #tell({ session }: Listener, change: ServerChange): Promise<void> {
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

  #forget(listener: Listener): void {
    clearTimeout(listener.collecting);
    this.#bySession.delete(listener.session.id);
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
