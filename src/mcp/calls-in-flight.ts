import type { MessageBus } from '../sessions/message-bus.ts';
import type { JsonRpcId } from './protocol-types.ts';

/** A call that is being answered on this instance. */
export interface CallInFlight {
  /** The legacy session or stdio connection it belongs to, or `undefined` in the modern era over HTTP. */
  readonly scope: string | undefined;
  readonly id: JsonRpcId;
  readonly startedAt: number;
  /** Makes the answer a stream, so that intermediaries see life and the client can come back for it. */
  upgrade(): void;
  cancel(reason: CancelReason): void;
}

/** Why a call is cancelled before it is done. */
export type CancelReason = 'client' | 'timeout' | 'session_ended' | 'stopping';

/** The calls of this instance. */
export interface CallsInFlight {
  /** @returns a function that forgets the call */
  add(call: CallInFlight): () => void;
  /** Cancels a call here, or tells the other instances when it is not here. */
  cancel(scope: string, id: JsonRpcId): Promise<void>;
  /** Cancels every call of a session that has ended, here and on the other instances. */
  endScope(scope: string): Promise<void>;
  readonly count: number;
  /** Resolves when no call is left; after `graceMs` those left are cancelled, and given a moment to say so. */
  drain(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

/** When calls are looked at. */
export interface CallsInFlightOptions {
  readonly bus: MessageBus;
  /** A call still running then becomes a stream. */
  readonly streamAfterMs: number;
  /** A call still running then is cancelled; 0 for never. */
  readonly timeoutMs: number;
  readonly now: () => number;
}

/** How long calls that were cancelled at the end may take to store that they were. */
const lastWordsMs = 1000;
const topic = 'cancellations';
const endTopic = 'ended-sessions';
/** How much later than `streamAfterMs` a call may become a stream: one look at all calls instead of a timer for each. */
const sweepMs = 100;

/** Keeps the calls of this instance, so that they can be cancelled, upgraded and waited for. */
export async function createCallsInFlight(options: CallsInFlightOptions): Promise<CallsInFlight> {
  const calls = new Set<CallInFlight>();
  const scoped = new Map<string, CallInFlight>();
  const whenEmpty = new Set<() => void>();
  const { streamAfterMs } = options;
  const timeoutMs = options.timeoutMs === 0 ? Number.POSITIVE_INFINITY : options.timeoutMs;
  const leastAgeMs = Math.min(streamAfterMs, timeoutMs);

  const sweep = setInterval(() => {
    const now = options.now();
    for (const call of calls) {
      const age = now - call.startedAt;
      // Insertion order is age order: the first young call ends the look.
      if (age < leastAgeMs) break;
      if (age >= timeoutMs) call.cancel('timeout');
      else if (age >= streamAfterMs) call.upgrade();
    }
  }, sweepMs);
  sweep.unref();

  const cancelHere = (key: string): boolean => {
    const call = scoped.get(key);
    call?.cancel('client');
    return call !== undefined;
  };
  const endHere = (scope: string): void => {
    for (const call of calls) if (call.scope === scope) call.cancel('session_ended');
  };
  const unsubscribe = await options.bus.subscribe(topic, cancelHere);
  const unsubscribeEnds = await options.bus.subscribe(endTopic, endHere);

  const untilEmpty = async (waitMs: number): Promise<void> => {
    if (calls.size === 0) return;
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        whenEmpty.delete(finish);
        resolve();
      };
      const timer = setTimeout(finish, waitMs);
      whenEmpty.add(finish);
    });
  };

  return {
    add: (call) => {
      calls.add(call);
      const key = call.scope === undefined ? undefined : toKey(call.scope, call.id);
      if (key !== undefined) scoped.set(key, call);
      return () => {
        calls.delete(call);
        if (key !== undefined && scoped.get(key) === call) scoped.delete(key);
        if (calls.size === 0) for (const listener of whenEmpty) listener();
      };
    },
    cancel: async (scope, id) => {
      const key = toKey(scope, id);
      if (!cancelHere(key)) await options.bus.publish(topic, key);
    },
    endScope: async (scope) => {
      endHere(scope);
      await options.bus.publish(endTopic, scope);
    },
    get count() {
      return calls.size;
    },
    drain: async (graceMs) => {
      await untilEmpty(graceMs);
      for (const call of calls) call.cancel('stopping');
      await untilEmpty(lastWordsMs);
    },
    close: async () => {
      clearInterval(sweep);
      await Promise.all([unsubscribe(), unsubscribeEnds()]);
    },
  };
}

function toKey(scope: string, id: JsonRpcId): string {
  return typeof id === 'number' ? `${scope} #${id}` : `${scope} $${id}`;
}
