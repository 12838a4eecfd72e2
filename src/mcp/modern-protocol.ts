/**
 * The stateless era's requests: everything that is answered the same whatever server is hosted, and the way to it for
 * the rest. MCP 2026-07-28.
 */
import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import { answerCall } from './answer-call.ts';
import type { Reply } from './call-reply.ts';
import type { FeatureRequest } from './dispatch-target.ts';
import type { Engine } from './engine.ts';
import type { ModernEnvelope } from './modern-envelope.ts';
import { ModernExchange } from './modern-exchange.ts';
import { supportedVersions } from './protocol-versions.ts';
import type { JsonRpcRequest } from './protocol-types.ts';
import { createResultText, noCache } from './result-text.ts';
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
  const { target, limits } = engine;
  const resultText = createResultText(target.serverInfo);
  const discovery = renderDiscovery(engine, resultText);

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
      const cancel = answerCall(engine, { exchange, reply, scope, run: () => dispatch(feature, exchange) });
      return () => {
        cancel('client');
      };
    },
  };
}

function renderDiscovery(
  { target, extensions }: Engine,
  resultText: ReturnType<typeof createResultText>,
): string {
  const { instructions, discoveryCache = noCache } = target;
  const all = { ...target.capabilities.extensions, ...extensions };
  const hasExtensions = Object.keys(all).length > 0;
  const capabilities = { ...target.capabilities, ...(hasExtensions && { extensions: all }) };
  return resultText.complete(
    'modern',
    { supportedVersions, capabilities, ...(instructions === undefined ? {} : { instructions }) },
    discoveryCache,
  );
}
