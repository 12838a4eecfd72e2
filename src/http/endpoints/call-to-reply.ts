/**
 * From the answer of a call, which may become one text or a stream, to the HTTP reply that carries it.
 */
import type { CallOutcome, CallReply } from '../../mcp/call-reply.ts';
import type { Engine } from '../../mcp/engine.ts';
import type { Caller } from '../../mcp/server-exchange.ts';
import type { FullReply, HttpReply, LogFields } from '../messages.ts';
import { toEventStreamReply } from './event-stream.ts';

/** Headers of every JSON answer. */
export const jsonHeaders: Readonly<Record<string, string>> = { 'Content-Type': 'application/json' };

/** The answer to what needs none. */
export const acceptedReply: FullReply = { kind: 'full', status: 202, headers: {}, body: '' };

/** Whose call is answered. */
export interface CallToReplyOptions {
  readonly engine: Engine;
  readonly caller: Caller;
  readonly log: LogFields;
  /** Present in the legacy era. */
  readonly sessionId?: string;
  /** Stops the call: its credential was revoked. */
  readonly cancel: () => void;
}

/** Waits until the call is decided. The stream, if it becomes one, stays open until its response. */
export function callToReply(reply: CallReply, options: CallToReplyOptions): Promise<HttpReply> {
  return reply.outcome.then((outcome) =>
    outcome.kind === 'json'
      ? {
          kind: 'full',
          status: outcome.status,
          headers: outcome.headers === undefined ? jsonHeaders : { ...jsonHeaders, ...outcome.headers },
          body: outcome.text,
          log: options.log,
        }
      : toStreamReply(outcome, options),
  );
}

function toStreamReply(
  { stream }: Extract<CallOutcome, { readonly kind: 'stream' }>,
  { engine, caller, sessionId, log, cancel }: CallToReplyOptions,
): HttpReply {
  const reply = toEventStreamReply((sink) => {
    const forget = engine.streams.add({
      principal: caller.principal,
      ...(sessionId === undefined ? {} : { sessionId }),
      isCall: true,
      keepAlive: () => {
        if (sink.isOpen) stream.keepAlive();
        else forget();
      },
      end: (reason) => {
        // A stopping instance lets its calls finish. Released now, the client would come back to an instance that
        // refuses it, and then to one that may not have heard of the call.
        if (reason !== 'stopping') cancel();
      },
    });
    sink.onClose(forget);
    stream.attach({
      get isOpen() {
        return sink.isOpen;
      },
      send: (event) => sink.send(event),
      keepAlive: () => {
        sink.keepAlive();
      },
      end: () => {
        forget();
        sink.end();
      },
      onClose: (listener) => {
        sink.onClose(listener);
      },
    });
  });
  return { ...reply, log };
}

/** What the request's log line says of the call. Bounded: a client may send any text as a method. */
export function toCallLog(method: string): LogFields {
  return { mcpMethod: method.slice(0, 64) };
}
