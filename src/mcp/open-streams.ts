import type { Principal } from '../auth/principal.ts';
import { toPrincipalKey } from '../auth/principal.ts';
import { RequestError } from '../errors.ts';

/** Why a long-lived stream is ended from our side. */
export type EndReason = 'revoked' | 'stopping' | 'session_ended';

/** A stream that outlives its request's handling: a GET stream, a subscription, a call that streams. */
export interface OpenStream {
  readonly principal: Principal;
  /** Present on streams of a legacy session. */
  readonly sessionId?: string;
  /** A call's own stream: it is there whatever the limit of streams says, and a stopping instance lets it finish. */
  readonly isCall?: boolean;
  end(reason: EndReason): void;
  /** Sends something that keeps intermediaries from closing a silent connection. */
  keepAlive(): void;
  /** Looks for what it was not told of, and shows that it is in use. Absent where there is nothing to look at. */
  look?(): void;
}

/** The open streams of this instance: counted, kept alive, and ended when their credential or session ends. */
export interface OpenStreams {
  /**
   * @returns a function that forgets the stream
   * @throws RequestError `too_many_streams` (429) past the limit per principal, `unavailable` (503) while stopping
   */
  add(stream: OpenStream): () => void;
  /** Lets all look now, some at a time: messages to this instance may have been lost. */
  look(): void;
  endWhere(reason: EndReason, matches: (stream: OpenStream) => boolean): void;
  readonly count: number;
  /** Ends every stream; later ones are refused. */
  stop(): void;
}

/** How often what is done for all open streams. */
export interface OpenStreamsOptions {
  readonly maxPerPrincipal: number;
  /** Between two keep-alives of a stream. */
  readonly keepAliveMs: number;
  /** Between two looks of a stream. */
  readonly lookMs: number;
}

/** Steps of a round over all streams, so that thousands of them do not write, or ask the store, all at once. */
const stepsOfRound = 20;
/** Most streams that look at once when all do, and the pause before the next. */
const looksAtOnce = 100;
const lookPauseMs = 10;

/** None is open yet. */
export function createOpenStreams(options: OpenStreamsOptions): OpenStreams {
  const streams = new Set<OpenStream>();
  const perPrincipal = new Map<string, number>();
  let isStopping = false;
  // The work grows with the streams that are open here, and with nothing else.
  const rounds = [
    startRounds(streams, options.keepAliveMs, (stream) => stream.keepAlive()),
    startRounds(streams, options.lookMs, (stream) => stream.look?.()),
  ];
  const look = (waiting: readonly OpenStream[]): void => {
    for (const stream of waiting.slice(0, looksAtOnce)) if (streams.has(stream)) stream.look?.();
    const rest = waiting.slice(looksAtOnce);
    if (rest.length > 0 && !isStopping) setTimeout(look, lookPauseMs, rest).unref();
  };

  const forget = (stream: OpenStream, key: string): void => {
    if (!streams.delete(stream)) return;
    const left = (perPrincipal.get(key) ?? 1) - 1;
    if (left === 0) perPrincipal.delete(key);
    else perPrincipal.set(key, left);
  };
  const endWhere: OpenStreams['endWhere'] = (reason, matches) => {
    for (const stream of streams) if (matches(stream)) stream.end(reason);
  };
  return {
    add: (stream) => {
      if (stream.isCall === true) {
        streams.add(stream);
        return () => {
          streams.delete(stream);
        };
      }
      const key = toPrincipalKey(stream.principal);
      const held = perPrincipal.get(key) ?? 0;
      if (isStopping)
        throw new RequestError('unavailable', 'This instance is stopping; try again', {
          headers: { 'Retry-After': '1' },
        });
      if (held >= options.maxPerPrincipal) {
        throw new RequestError(
          'too_many_streams',
          `At most ${options.maxPerPrincipal} streams may be open at once; close one first`,
          {
            headers: { 'Retry-After': '5' },
          },
        );
      }
      perPrincipal.set(key, held + 1);
      streams.add(stream);
      return () => {
        forget(stream, key);
      };
    },
    look: () => {
      look([...streams]);
    },
    endWhere,
    get count() {
      return streams.size;
    },
    stop: () => {
      isStopping = true;
      for (const timer of rounds) clearInterval(timer);
      endWhere('stopping', () => true);
    },
  };
}

/** Visits every stream once in `periodMs`, a part of them at each step. */
function startRounds(
  streams: ReadonlySet<OpenStream>,
  periodMs: number,
  visit: (stream: OpenStream) => void,
): NodeJS.Timeout {
  let waiting: OpenStream[] = [];
  let perStep = 0;
  const timer = setInterval(() => {
    if (waiting.length === 0) {
      waiting = [...streams];
      perStep = Math.ceil(waiting.length / stepsOfRound);
    }
    for (const stream of waiting.splice(0, perStep)) if (streams.has(stream)) visit(stream);
  }, periodMs / stepsOfRound);
  timer.unref();
  return timer;
}
