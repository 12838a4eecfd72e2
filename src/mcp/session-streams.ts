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
import { allChanges, listsToldBy, toNotification } from './change-feed.ts';
import type { Engine } from './engine.ts';
import { renderMessage } from './json-rpc.ts';
import { createLostCalls, type LostCalls } from './lost-calls.ts';
import { canPollStreams } from './protocol-versions.ts';
import { createSessionTail, type SessionTail } from './session-tail.ts';
import { SessionListeners, standalone } from './session-listeners.ts';

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
  const listeners = new SessionListeners(engine);
  const lostCalls = createLostCalls(engine);
  return {
    open: async (session, principal, lastEventId) => {
      const streamId = lastEventId === undefined ? standalone : parseStreamId(lastEventId);
      if (streamId === undefined)
        throw new RequestError('request_invalid', 'Last-Event-ID is not an event of this server');
      return streamId === standalone || lastEventId === undefined
        ? openStandalone(engine, listeners, { session, principal, lastEventId })
        : resumeCall(engine, lostCalls, { session, principal, lastEventId, streamId });
    },
    close: () => {
      listeners.close();
      lostCalls.close();
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
  listeners: SessionListeners,
  { session, principal, lastEventId }: Opening,
): Promise<OpenedStream> {
  const cursor = lastEventId ?? (await prime(engine, session));
  const isPlaced = lastEventId === undefined || (await isPlace(engine, session, lastEventId));
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
      const next = await engine.events.append(session.id, standalone, '');
      // Nothing can be appended: not the place was lost but the session ended, at another instance.
      if (next === undefined) return undefined;
      const { subscriptions } = listeners.find(session.id) ?? session;
      for (const change of allChanges(listsToldBy(engine.target.capabilities), subscriptions))
        sink.send({ id: next, data: renderMessage(toNotification(change)) });
      return next;
    },
  });
  await endOnFailure(tail, () => listeners.join(session, tail, lastEventId === undefined));
  return {
    attach: (sink) => {
      if (isPlaced) sayPlace(engine, session, { sink, cursor: tail.cursor });
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
  lostCalls: LostCalls,
  {
    session,
    principal,
    lastEventId,
    streamId,
  }: Opening & { readonly lastEventId: string; readonly streamId: string },
): Promise<OpenedStream> {
  const isPlaced = await isPlace(engine, session, lastEventId);
  let unsubscribe = async (): Promise<void> => {};
  let unwatch = (): void => {};
  const tail = createSessionTail(engine, {
    session,
    principal,
    cursor: lastEventId,
    isCall: true,
    onClosed: () => {
      unwatch();
      void unsubscribe();
    },
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
  else unwatch = lostCalls.watch({ sessionId: session.id, streamId, tail });
  return {
    attach: (sink) => {
      if (isPlaced) sayPlace(engine, session, { sink, cursor: lastEventId });
      tail.attach(sink);
    },
    abandon: () => {
      tail.end(undefined);
    },
  };
}

/**
 * Whether the stream goes on after this event. Asked before there is a head: see `sayPlace`. One whose place was lost,
 * or that is over, has nothing to come back for.
 */
async function isPlace(engine: Engine, { id }: SessionRecord, lastEventId: string): Promise<boolean> {
  const slice = await engine.events.read(id, lastEventId, 1);
  return slice.kind === 'events' && !(slice.isComplete && slice.events.length === 0);
}

/**
 * Primes a client with the event that the stream goes on after, in one write with the head. Also one that has just
 * named it: the official SDK's clients (2.4.0) forget it when they come back, and one that lost the stream again before
 * the next event would wait on a standalone stream for an answer that is never sent there.
 *
 * @see MCP 2025-11-25, Transports, Listening for Messages: a server SHOULD immediately send an event id
 */
function sayPlace(
  { limits }: Engine,
  { protocolVersion }: SessionRecord,
  { sink, cursor }: { readonly sink: EventSink; readonly cursor: string },
): void {
  if (canPollStreams(protocolVersion)) sink.send({ id: cursor, data: '', retryMs: limits.retryMs });
}
