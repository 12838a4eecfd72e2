import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import type { Reply } from './call-reply.ts';
import type { CancelReason } from './calls-in-flight.ts';
import type { Engine } from './engine.ts';
import { renderResult } from './json-rpc.ts';
import { type RpcReply, toErrorReply } from './rpc-reply.ts';
import type { ServerExchange } from './server-exchange.ts';

/** How one call is answered. */
export interface AnsweredCall {
  readonly exchange: ServerExchange;
  readonly reply: Reply;
  /** See `CallInFlight`. */
  readonly scope: string | undefined;
  /** @returns the result as JSON text */
  readonly run: () => Promise<string>;
}

/** What a cancelled call is answered, where an answer is still due. */
const cancelMessages: Readonly<Record<CancelReason, string>> = {
  client: 'Request cancelled',
  timeout: 'The call took longer than this server allows',
  session_ended: 'Session terminated',
  stopping: 'This instance is stopping; the outcome of the call is unknown',
};

/**
 * Runs a call to its one answer, whichever comes first: its result, its failure, or that it was cancelled. Until then
 * it is among the calls in flight. Never throws.
 *
 * @returns a function that cancels the call
 */
export function answerCall(
  engine: Engine,
  { exchange, reply, scope, run }: AnsweredCall,
): (reason: CancelReason) => void {
  const { id, era, requestId } = exchange;
  const finish = ({ status, text, headers }: RpcReply): void => {
    const stored = reply.finish(status, text, headers);
    if (stored === undefined) forget();
    // Until then the call is in flight: an instance that left now would be taken for dead, and the answer for lost.
    else void stored.then(forget);
  };
  const fail = (error: unknown): void => {
    finish(toErrorReply(id, error, { era, requestId, logger: engine.logger }));
  };
  const cancel = (reason: CancelReason): void => {
    exchange.abort();
    fail(new ProtocolError(protocolErrorCodes.internalError, cancelMessages[reason]));
  };
  const forget = engine.calls.add({
    scope,
    id,
    startedAt: engine.now(),
    upgrade: () => reply.upgrade(),
    cancel,
  });
  run().then((text) => {
    finish({ status: 200, text: renderResult(id, text) });
  }, fail);
  return cancel;
}
