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

/** The stream id of what the server says unasked. */
const standalone = 'g';
/** Events read from the log at once. */
const readAtOnce = 100;
/** How long a session's standalone stream goes on collecting after its connection was lost. */
const collectAfterCloseMs = 60_000;
/** Most sessions that collect without a connection, on one instance. */
const maxCollecting = 10_000;

/** Serves GET streams of one engine. */
export interface SessionStreams {
  /** Opens the standalone stream, or resumes the stream that `lastEventId` belongs to. */
  open(session: SessionRecord, principal: Principal, lastEventId: string | undefined): Promise<(sink: EventSink) => void>;
  close(): void;
}

/** A session that hears of changes here: its stream is open, or was a moment ago. */
interface Listener {
  session: SessionRecord;
  /** Open standalone connections, newest last. Only the newest is written to: a message goes to one stream. */
  readonly tails: Tail[];
  collecting: NodeJS.Timeout | undefined;
  stop: () => Promise<void>;
}

interface Tail {
  /** Reads on from where it is and writes what it finds. */
  pump(): void;
  end(retryMs?: number): void;
}

/** Serves the GET streams of an engine. */
export function createSessionStreams(engine: Engine): SessionStreams {
  const { events, bus, sessions, logger, limits } = engine;
  const listeners = new Map<string, Listener>();
  const stopListening = engine.changes.subscribe((change) => {
    for (const listener of listeners.values()) void tell(listener, change);
  });

  async function tell({ session }: Listener, change: ServerChange): Promise<void> {
    const isWanted = change.kind === 'list_changed' || session.subscriptions.includes(change.uri);
    if (!isWanted || !concernsTenant(change, session.tenantId)) return;
    const id = await events.append(session.id, standalone, renderMessage(toNotification(change)));
    if (id !== undefined) await bus.publish(`session.${session.id}`, standalone);
  }

  async function listen(session: SessionRecord): Promise<Listener> {
    const known = listeners.get(session.id);
    if (known !== undefined) {
      known.session = session;
      clearTimeout(known.collecting);
      known.collecting = undefined;
      return known;
    }
    const listener: Listener = { session, tails: [], collecting: undefined, stop: async () => {} };
    listeners.set(session.id, listener);
    listener.stop = await bus.subscribe(`session.${session.id}`, (message) => {
      if (message === 'ended') for (const tail of [...listener.tails]) tail.end();
      else if (message === 'changed') void refresh(listener);
      else if (message === standalone) listener.tails.at(-1)?.pump();
    });
    return listener;
  }

  async function refresh(listener: Listener): Promise<void> {
    const record = await sessions.load(listener.session.id);
    if (record !== undefined) listener.session = record;
  }

  function leave(listener: Listener, tail: Tail): void {
    const at = listener.tails.indexOf(tail);
    if (at >= 0) listener.tails.splice(at, 1);
    const next = listener.tails.at(-1);
    if (next !== undefined) {
      next.pump();
      return;
    }
    const forget = (): void => {
      listeners.delete(listener.session.id);
      void listener.stop();
    };
    if (listeners.size > maxCollecting) forget();
    else {
      listener.collecting = setTimeout(forget, collectAfterCloseMs);
      listener.collecting.unref();
    }
  }

  return {
    open: async (session, principal, lastEventId) => {
      const streamId = lastEventId === undefined ? standalone : parseStreamId(lastEventId);
      if (streamId === undefined) throw new RequestError('request_invalid', 'Last-Event-ID is not an event of this server');
      if (streamId !== standalone) {
        const stopWaking: { stop: () => Promise<void> } = { stop: async () => {} };
        return (sink) => {
          const tail = createTail(session, principal, lastEventId as string, sink, () => {
            void stopWaking.stop();
          });
          void bus
            .subscribe(`session.${session.id}`, (message) => {
              if (message === 'ended') tail.end();
              else if (message === streamId) tail.pump();
            })
            .then((stop) => {
              stopWaking.stop = stop;
              if (sink.isOpen) tail.pump();
              else void stop();
            });
        };
      }
      const listener = await listen(session);
      const cursor = await startStandalone(session, lastEventId);
      return (sink) => {
        if (lastEventId === undefined && canPollStreams(session.protocolVersion)) {
          sink.send({ id: cursor, data: '', retryMs: limits.retryMs });
        }
        const tail: Tail = createTail(session, principal, cursor, sink, () => {
          leave(listener, tail);
        });
        if (sink.isOpen) {
          listener.tails.push(tail);
          tail.pump();
        }
      };
    },
    close: () => {
      stopListening();
      for (const listener of listeners.values()) {
        clearTimeout(listener.collecting);
        void listener.stop();
      }
      listeners.clear();
    },
  };

  /** Where reading starts: the client's cursor, or a priming event that stands for now. */
  async function startStandalone(session: SessionRecord, lastEventId: string | undefined): Promise<string> {
    if (lastEventId !== undefined) return lastEventId;
    const primed = await events.append(session.id, standalone, '');
    if (primed === undefined) throw new RequestError('session_unknown', 'Unknown session ID');
    return primed;
  }

  function createTail(session: SessionRecord, principal: Principal, from: string, sink: EventSink, onClosed: () => void): Tail {
    let cursor = from;
    let isReading = false;
    let isStale = false;
    const forget = engine.streams.add({
      principal,
      sessionId: session.id,
      keepAlive: () => {
        sink.keepAlive();
      },
      end: (reason) => {
        tail.end(reason === 'stopping' ? limits.retryMs : undefined);
      },
    });
    const read = async (): Promise<void> => {
      do {
        isStale = false;
        const slice = await events.read(session.id, cursor, readAtOnce);
        if (slice.kind === 'gap') {
          await healGap(session);
          return;
        }
        for (const event of slice.events) {
          cursor = event.id;
          // A priming event was already told by itself, or belongs to a connection that is gone.
          if (event.data !== '' && !sink.send(event)) return;
        }
        if (slice.isComplete) {
          tail.end();
          return;
        }
        isStale ||= slice.events.length === readAtOnce;
      } while (isStale && sink.isOpen);
    };
    /** What was lost cannot be sent again, but lists and resources can be looked at again. */
    const healGap = async (record: SessionRecord): Promise<void> => {
      if (parseStreamId(cursor) !== standalone) {
        tail.end();
        return;
      }
      cursor = await startStandalone(record, undefined);
      for (const change of allChanges(record)) sink.send({ id: cursor, data: renderMessage(toNotification(change)) });
    };
    const tail: Tail = {
      pump: () => {
        if (isReading) {
          isStale = true;
          return;
        }
        isReading = true;
        read()
          .catch((error: unknown) => {
            logger.error('mcp.stream_failed', {}, error);
            tail.end(limits.retryMs);
          })
          .finally(() => {
            isReading = false;
            if (isStale && sink.isOpen) tail.pump();
          });
      },
      end: (retryMs) => {
        if (retryMs !== undefined && canPollStreams(session.protocolVersion)) sink.send({ data: '', retryMs });
        closed();
        sink.end();
      },
    };
    let isClosed = false;
    const closed = (): void => {
      if (isClosed) return;
      isClosed = true;
      forget();
      onClosed();
    };
    sink.onClose(closed);
    return tail;
  }

  function allChanges(session: SessionRecord): readonly ServerChange[] {
    const { tools, prompts, resources } = engine.target.capabilities;
    const lists = [
      ...(tools?.listChanged === true ? (['tools'] as const) : []),
      ...(prompts?.listChanged === true ? (['prompts'] as const) : []),
      ...(resources?.listChanged === true ? (['resources'] as const) : []),
    ];
    const tenantId = session.tenantId;
    return [
      ...lists.map((list) => ({ kind: 'list_changed', list, tenantId }) as const),
      ...session.subscriptions.map((uri) => ({ kind: 'resource_updated', uri, tenantId }) as const),
    ];
  }
}
