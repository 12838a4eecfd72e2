/**
 * Which sessions hear of changes on this instance, and on which of their connections. What they hear is appended to
 * their standalone stream in the event log; the connections read it from there.
 */
import type { SessionRecord } from '../sessions/session-store.ts';
import { allChanges, concernsTenant, listsToldBy, toNotification } from './change-feed.ts';
import type { ServerChange } from './dispatch-target.ts';
import type { Engine } from './engine.ts';
import { renderMessage } from './json-rpc.ts';
import type { SessionTail } from './session-tail.ts';

/** The stream id of what the server says unasked. */
export const standalone = 'g';
/** How long a session's standalone stream goes on collecting after its connection was lost. */
const collectAfterCloseMs = 60_000;
/** How long who collected before has to say so. After that nobody did, and changes may have been lost. */
const handOverMs = 1000;
/** Most sessions that collect without a connection, on one instance. */
const maxCollecting = 10_000;

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
  /** Runs while it is not known whether anybody collected before. */
  doubtTimer: NodeJS.Timeout | undefined;
  /** Ends hearing of it when changes may have been lost. */
  stopLost: () => void;
  unsubscribe: () => Promise<void>;
}

/** On `session.<id>`: an instance collects from now on. */
const collects = 'collects ';
/** On `session.<id>`: who collected until now does so no more, and that instance does. */
const yielded = 'yielded to ';
/** On `session.<id>`: the instance that collects has no connection any more; the last one had reached this event. */
const left = 'left ';

/** The sessions that hear of changes on this instance. */
export class SessionListeners {
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
    const known = this.#bySession.get(session.id);
    const wasCollecting = known?.isCollecting === true;
    const listener = known ?? (await this.#add(session));
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
    // Before word of it goes out: the answer may be quick.
    if (!isNew && !wasCollecting) this.#doubt(listener);
    await this.#collect(listener);
  }

  /** The instance that collected before may be gone, and with it what it had not stored. */
  #doubt(listener: Listener): void {
    clearTimeout(listener.doubtTimer);
    listener.doubtTimer = setTimeout(() => {
      listener.doubtTimer = undefined;
      this.#tellAll(listener).catch((error: unknown) => {
        this.#engine.logger.error('mcp.change_not_told', { kind: 'all' }, error);
      });
    }, handOverMs);
    listener.doubtTimer.unref();
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
      doubtTimer: undefined,
      refreshed: Promise.resolve(),
      stopLost: () => {},
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
    listener.stopLost = this.#engine.changes.onLost(() => this.#tellAll(listener));
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
      this.#yield(listener, message.slice(collects.length));
    } else if (message === yielded + this.#engine.instanceId) this.#trust(listener);
    else if (message.startsWith(left) && !listener.isCollecting) {
      tails.at(-1)?.takeOver(message.slice(left.length));
      this.#collect(listener).catch((error: unknown) => {
        this.#engine.logger.error('mcp.stream_failed', {}, error);
      });
    }
  }

  #trust(listener: Listener): void {
    clearTimeout(listener.doubtTimer);
    listener.doubtTimer = undefined;
  }

  async #collect(listener: Listener): Promise<void> {
    listener.isCollecting = true;
    await this.#engine.bus.publish(`session.${listener.session.id}`, collects + this.#engine.instanceId);
  }

  /** An instance collects now: another one, or this one. */
  #yield(listener: Listener, collector: string): void {
    if (collector === this.#engine.instanceId) return;
    // Who is in doubt itself leaves the other in doubt.
    if (listener.isCollecting && listener.doubtTimer === undefined)
      this.#publish(listener, yielded + collector);
    listener.isCollecting = false;
    this.#trust(listener);
    listener.tails.at(-1)?.pause();
    if (listener.tails.length === 0) this.#forget(listener);
  }

  async #tell(listener: Listener, change: ServerChange): Promise<void> {
    await listener.refreshed;
    const { session } = listener;
    const isWanted = change.kind === 'list_changed' || session.subscriptions.includes(change.uri);
    if (!isWanted || !concernsTenant(change, session.tenantId)) return;
    if (await this.#append(session.id, change))
      await this.#engine.bus.publish(`session.${session.id}`, standalone);
  }

  /** Messages may have been lost: of changes, and that what the session subscribes to is another. */
  async #tellAll(listener: Listener): Promise<void> {
    const session = await this.#engine.sessions.load(listener.session.id);
    // That it ended its connections see themselves.
    if (session === undefined) return;
    listener.session = session;
    if (!listener.isCollecting) return;
    for (const change of allChanges(listsToldBy(this.#engine.target.capabilities), session.subscriptions))
      if (!(await this.#append(session.id, change))) return;
    await this.#engine.bus.publish(`session.${session.id}`, standalone);
  }

  /** @returns false when the session ended */
  async #append(sessionId: string, change: ServerChange): Promise<boolean> {
    const text = renderMessage(toNotification(change));
    return (await this.#engine.events.append(sessionId, standalone, text)) !== undefined;
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
    clearTimeout(listener.doubtTimer);
    listener.stopLost();
    if (this.#bySession.get(listener.session.id) === listener) this.#bySession.delete(listener.session.id);
    void listener.unsubscribe();
  }
}
