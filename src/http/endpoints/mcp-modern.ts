/** The stateless era over HTTP: one request, one reply, nothing kept. MCP 2026-07-28, Streamable HTTP. */
import { CallReply, createPlainStream } from '../../mcp/call-reply.ts';
import type { Engine } from '../../mcp/engine.ts';
import { openListen, parseListenFilter } from '../../mcp/listen.ts';
import { claimedVersion, parseEnvelope } from '../../mcp/modern-envelope.ts';
import { createModernProtocol } from '../../mcp/modern-protocol.ts';
import type { JsonRpcRequest } from '../../mcp/protocol-types.ts';
import type { Caller } from '../../mcp/server-exchange.ts';
import type { HttpReply, HttpRequest } from '../messages.ts';
import { callToReply, toCallLog } from './call-to-reply.ts';
import { toEventStreamReply } from './event-stream.ts';
import { checkRequestHeaders, checkVersionHeader, toParameterHeaders } from './mcp-headers.ts';

/** Modern requests of the endpoint. */
export interface ModernEndpoint {
  /** @throws ProtocolError for a request whose envelope or headers cannot be served */
  post(request: HttpRequest, message: JsonRpcRequest, caller: Caller): HttpReply | Promise<HttpReply>;
}

/** The modern era of the endpoint. */
export function createModernEndpoint(engine: Engine): ModernEndpoint {
  const protocol = createModernProtocol(engine);

  const listen = (request: HttpRequest, message: JsonRpcRequest, { principal }: Caller): HttpReply => {
    const filter = parseListenFilter(message.params, engine.target.capabilities);
    const stream = createPlainStream();
    request.onClose(openListen(engine, message, filter, { principal, stream }));
    const reply = toEventStreamReply((sink) => {
      stream.attach(sink);
    });
    return { ...reply, log: toCallLog(message.method) };
  };

  return {
    post: (request, message, caller) => {
      checkVersionHeader(request.headers, claimedVersion(message.params));
      const envelope = parseEnvelope(message.params);
      checkRequestHeaders(request.headers, message);
      if (message.method === 'subscriptions/listen') return listen(request, message, caller);
      const reply = new CallReply(createPlainStream);
      const parameterHeaders = (): Readonly<Record<string, string>> => toParameterHeaders(request.headers);
      const cancel = protocol.answer(message, envelope, {
        caller,
        reply,
        scope: undefined,
        parameterHeaders,
      });
      // MCP 2026-07-28, Streamable HTTP, Cancellation: a disconnect MUST be treated as one.
      request.onClose(cancel);
      return callToReply(reply, { engine, caller, cancel, log: toCallLog(message.method) });
    },
  };
}
