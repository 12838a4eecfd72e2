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
}

/** The open streams of this instance: counted, kept alive, and ended when their credential or session ends. */
export interface OpenStreams {
  /**
   * @returns a function that forgets the stream
   * @throws RequestError `too_many_streams` (429) past the limit per principal, `unavailable` (503) while stopping
   */
  add(stream: OpenStream): () => void;
  /** Keeps all alive now, and so lets those of sessions look for what they were not told of. */
  keepAlive(): void;
  endWhere(reason: EndReason, matches: (stream: OpenStream) => boolean): void;
  readonly count: number;
  /** Ends every stream; later ones are refused. */
  stop(): void;
}

/** @param options.keepAliveMs between two keep-alives */
export function createOpenStreams(options: { maxPerPrincipal: number; keepAliveMs: number }): OpenStreams {
  const streams = new Set<OpenStream>();
  const perPrincipal = new Map<string, number>();
  let isStopping = false;
  // One timer for all: the work grows with the streams that are open here, and with nothing else.
  const keepAlive = (): void => {
    for (const stream of streams) stream.keepAlive();
  };
  const timer = setInterval(keepAlive, options.keepAliveMs);
  timer.unref();

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
    keepAlive,
    endWhere,
    get count() {
      return streams.size;
    },
    stop: () => {
      isStopping = true;
      clearInterval(timer);
      endWhere('stopping', () => true);
    },
  };
}
