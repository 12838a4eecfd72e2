/**
 * The MCP endpoint: what POST, GET and DELETE at `/mcp` do. A body is read here and told apart; each era has its own
 * file beside this one.
 */
import type { Principal } from '../../auth/principal.ts';
import { ProtocolError, protocolErrorCodes, RequestError } from '../../errors.ts';
import type { Engine } from '../../mcp/engine.ts';
import {
  type Incoming,
  type IncomingBody,
  parseBody,
  renderError,
  type ValidIncoming,
} from '../../mcp/json-rpc.ts';
import { claimedVersion } from '../../mcp/modern-envelope.ts';
import { isLegacyVersion } from '../../mcp/protocol-versions.ts';
import type { JsonRpcId, JsonRpcRequest } from '../../mcp/protocol-types.ts';
import type { Caller } from '../../mcp/server-exchange.ts';
import { type FullReply, type HttpReply, type HttpRequest, toHeader } from '../messages.ts';
import type { RouteHandler } from '../routes.ts';
import { acceptedReply, jsonHeaders, toCallLog } from './call-to-reply.ts';
import { requireBothAccepted, requireEventStreamAccepted, requireJsonBody } from './mcp-headers.ts';
import { createLegacyEndpoint } from './mcp-legacy.ts';
import { createModernEndpoint } from './mcp-modern.ts';
import { requireScopes } from './require-scopes.ts';

/** The handlers of the endpoint's three rows. */
export interface McpEndpoint {
  readonly post: RouteHandler;
  readonly get: RouteHandler;
  readonly delete: RouteHandler;
  /** Ends what the endpoint holds beside the engine. */
  close(): void;
}

/** What the endpoint may be told to do besides. */
export interface McpEndpointOptions {
  /** Told, before the client is, that a caller lacks a scope. */
  readonly onInsufficientScope?: (principal: Principal) => Promise<void>;
}

/** The endpoint over one engine. */
export function createMcpEndpoint(engine: Engine, options: McpEndpointOptions = {}): McpEndpoint {
  const modern = createModernEndpoint(engine);
  const legacy = createLegacyEndpoint(engine);

  const { scopes: rules } = engine.target;

  /** Nobody waits for it on the way that requests take. */
  const tell = async (error: unknown, { principal }: HttpRequest): Promise<never> => {
    if (principal !== undefined) await options.onInsufficientScope?.(principal);
    throw error;
  };

  const post = (request: HttpRequest, body: IncomingBody): HttpReply | Promise<HttpReply> => {
    const caller = toCaller(request);
    const { principal } = caller;
    if (body.kind === 'batch') {
      const messages = body.messages.map(requireValid);
      requireScopes(messages.flatMap(toRequests), { rules, principal, isModern: false });
      return legacy.postBatch(request, messages, caller);
    }
    const incoming = requireValid(body);
    const isModernCall = isModern(request, incoming);
    requireScopes(toRequests(incoming), { rules, principal, isModern: isModernCall });
    if (!isModernCall) return legacy.post(request, incoming, caller);
    if (incoming.kind === 'request') return modern.post(request, incoming.message, caller);
    // This revision defines no notification over HTTP and takes no responses. MCP 2026-07-28, Streamable HTTP.
    if (incoming.kind === 'notification') return acceptedReply;
    throw invalidRequest('responses cannot be sent in this protocol version');
  };

  return {
    post: (request) => {
      requireJsonBody(request.headers);
      requireBothAccepted(request.headers);
      let body: IncomingBody | undefined;
      try {
        body = parseBody(request.body);
        const reply = post(request, body);
        if (!(reply instanceof Promise)) return reply;
        const asked = body;
        return reply.catch((error: unknown) => refuse(error, asked));
      } catch (error) {
        if (isScopeMissing(error)) return tell(error, request);
        return refuse(error, body);
      }
    },
    get: (request) => {
      requireEventStreamAccepted(request.headers);
      const caller = toCaller(request);
      requireScopes([streamRequest], { rules, principal: caller.principal, isModern: false });
      return legacy.openStream(request, caller).catch((error: unknown) => refuse(error, undefined));
    },
    delete: (request) =>
      legacy.end(request, toCaller(request)).catch((error: unknown) => refuse(error, undefined)),
    close: () => {
      legacy.close();
    },
  };
}

function isScopeMissing(error: unknown): boolean {
  return error instanceof RequestError && error.code === 'insufficient_scope';
}

/** The standalone stream is no request, and needs what every request needs. */
const streamRequest: Pick<JsonRpcRequest, 'method'> = { method: '' };

/**
 * A message is modern when its body or its version header says so; all else is for the legacy era to judge.
 *
 * @see MCP 2026-07-28, Versioning, Compatibility Matrix: a dual-era server selects by how the client opens
 */
function isModern(request: HttpRequest, incoming: ValidIncoming): boolean {
  if (incoming.kind === 'request' && claimedVersion(incoming.message.params) !== undefined) return true;
  const version = toHeader(request.headers, 'mcp-protocol-version');
  if (version === undefined || isLegacyVersion(version)) return false;
  return toHeader(request.headers, 'mcp-session-id') === undefined;
}

/** A message that cannot be served at all: 400, and what is wrong with it. Other failures are told in HTTP. */
function refuse(error: unknown, body: IncomingBody | undefined): FullReply {
  if (!(error instanceof ProtocolError)) throw error;
  return {
    kind: 'full',
    status: 400,
    headers: jsonHeaders,
    body: renderError(body === undefined ? undefined : idOf(body), error),
    log: {
      ...(body?.kind === 'request' ? toCallLog(body.message.method) : {}),
      error: 'protocol_error',
      rpcCode: error.code,
    },
  };
}

function requireValid(incoming: Incoming): ValidIncoming {
  if (incoming.kind === 'invalid') throw invalidRequest(incoming.problem);
  return incoming;
}

function toRequests(incoming: ValidIncoming): readonly JsonRpcRequest[] {
  return incoming.kind === 'request' ? [incoming.message] : [];
}

function idOf(body: IncomingBody): JsonRpcId | undefined {
  if (body.kind === 'request') return body.message.id;
  return body.kind === 'invalid' ? body.id : undefined;
}

function invalidRequest(problem: string): ProtocolError {
  return new ProtocolError(protocolErrorCodes.invalidRequest, `Invalid request: ${problem}`);
}

function toCaller({ principal, requestId }: HttpRequest): Caller {
  // The endpoint's rows demand a principal, so the pipeline has put one here.
  if (principal === undefined) throw new TypeError('the MCP endpoint was mounted without authentication');
  return { principal, requestId };
}
