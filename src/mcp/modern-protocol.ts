/**
 * The stateless era's requests: everything that is answered the same whatever server is hosted, and the way to it for
 * the rest. MCP 2026-07-28.
 */
import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import type { Reply } from './call-reply.ts';
import type { CancelReason } from './calls-in-flight.ts';
import type { DispatchTarget, FeatureRequest } from './dispatch-target.ts';
import type { Engine } from './engine.ts';
import { renderResult } from './json-rpc.ts';
import type { ModernEnvelope } from './modern-envelope.ts';
import { ModernExchange } from './modern-exchange.ts';
import { supportedVersions } from './protocol-versions.ts';
import type { JsonRpcRequest } from './protocol-types.ts';
import { createResultText, noCache } from './result-text.ts';
import { type RpcReply, toErrorReply } from './rpc-reply.ts';
import type { Caller } from './server-exchange.ts';

/** How one modern request is answered. */
export interface ModernCall {
  readonly caller: Caller;
  readonly reply: Reply;
  /** Connection that request ids and cancellations belong to, on stdio; over HTTP the response stream is both. */
  readonly scope: string | undefined;
  readonly parameterHeaders: (() => Readonly<Record<string, string>>) | undefined;
}

/** Answers modern requests. */
export interface ModernProtocol {
  /**
   * Answers through `call.reply`. Never rejects.
   *
   * @returns a function that cancels the request: its connection is gone
   */
  answer(request: JsonRpcRequest, envelope: ModernEnvelope, call: ModernCall): () => void;
}

/** Requests that this revision took away or that only legacy sessions have. */
const removedMethods: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
]);

/** @see MCP 2026-07-28, Multi Round-Trip Requests, Supported Requests */
const multiRoundMethods: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);

const noParams: Readonly<Record<string, unknown>> = {};

/** The modern era of one engine. */
export function createModernProtocol(engine: Engine): ModernProtocol {
  const { target, logger, calls, limits } = engine;
  const resultText = createResultText(target.serverInfo);
  const discovery = renderDiscovery(target, resultText);

  const dispatch = async (request: FeatureRequest, exchange: ModernExchange): Promise<string> => {
    if (request.method === 'server/discover') return discovery;
    if (removedMethods.has(request.method))
      throw new ProtocolError(protocolErrorCodes.methodNotFound, `Method not found: ${request.method}`);
    // A state is checked even where nobody asks for it: one that was altered must never seem accepted.
    if (
      request.params['requestState'] !== undefined &&
      multiRoundMethods.has(request.method) &&
      !target.ownsRequestState
    ) {
      void exchange.rounds;
    }
    try {
      const text = await target.dispatch(request, exchange);
      if (!exchange.isSuspended) return text;
    } catch (error) {
      if (!exchange.isSuspended) throw error;
    }
    // Something was asked and not answered, so whatever the handler made of it is not the result.
    if (!multiRoundMethods.has(request.method)) {
      throw new ProtocolError(protocolErrorCodes.internalError, `${request.method} cannot ask the client`);
    }
    return resultText.inputRequired(exchange.rounds.toInputRequired());
  };

  return {
    answer: (request, envelope, { caller, reply, scope, parameterHeaders }) => {
      const feature = { method: request.method, params: request.params ?? noParams };
      const exchange = new ModernExchange(
        {
          id: request.id,
          request: feature,
          envelope,
          caller,
          push: (message) => {
            if (!exchange.isAborted) reply.push(message);
          },
          parameterHeaders,
          requestStateTtlSeconds: limits.requestStateTtlSeconds,
        },
        engine,
      );
      const finish = ({ status, text, headers }: RpcReply): void => {
        forget();
        reply.finish(status, text, headers);
      };
      const fail = (error: unknown): void => {
        finish(toErrorReply(request.id, error, { era: 'modern', requestId: caller.requestId, logger }));
      };
      const cancel = (reason: CancelReason): void => {
        exchange.abort();
        fail(new ProtocolError(protocolErrorCodes.internalError, cancelMessages[reason]));
      };
      const forget = calls.add({
        scope,
        id: request.id,
        startedAt: engine.now(),
        upgrade: () => reply.upgrade(),
        cancel,
      });
      dispatch(feature, exchange).then((text) => {
        finish({ status: 200, text: renderResult(request.id, text) });
      }, fail);
      return () => {
        cancel('client');
      };
    },
  };
}

/** What a cancelled call is answered, where an answer is still due. */
export const cancelMessages: Readonly<Record<CancelReason, string>> = {
  client: 'Request cancelled',
  timeout: 'The call took longer than this server allows',
  session_ended: 'Session terminated',
  stopping: 'This instance is stopping; the outcome of the call is unknown',
};

function renderDiscovery(target: DispatchTarget, resultText: ReturnType<typeof createResultText>): string {
  const { capabilities, instructions, discoveryCache = noCache } = target;
  return resultText.complete(
    'modern',
    { supportedVersions, capabilities, ...(instructions === undefined ? {} : { instructions }) },
    discoveryCache,
  );
}
