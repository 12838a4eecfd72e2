/**
 * The MCP endpoint: what POST, GET and DELETE at `/mcp` do, in both eras. One body is read here, told apart, and
 * handed to its era; what the era answers becomes the reply.
 */
import { randomBytes } from 'node:crypto';
import { toPrincipalKey } from '../../auth/principal.ts';
import { ProtocolError, protocolErrorCodes, RequestError } from '../../errors.ts';
import { CallReply, createDurableStream, createPlainStream, toBatchReplies } from '../../mcp/call-reply.ts';
import type { Engine } from '../../mcp/engine.ts';
import { type Incoming, parseBody } from '../../mcp/json-rpc.ts';
import { createLegacyProtocol } from '../../mcp/legacy-protocol.ts';
import { openListen, parseListenFilter } from '../../mcp/listen.ts';
import { claimedVersion, parseEnvelope, toUnsupportedVersion } from '../../mcp/modern-envelope.ts';
import { createModernProtocol } from '../../mcp/modern-protocol.ts';
import { allowsBatches, canPollStreams, isLegacyVersion } from '../../mcp/protocol-versions.ts';
import type { JsonRpcRequest } from '../../mcp/protocol-types.ts';
import { toErrorReply } from '../../mcp/rpc-reply.ts';
import type { Caller } from '../../mcp/server-exchange.ts';
import { createSessionStreams } from '../../mcp/session-streams.ts';
import type { SessionRecord } from '../../sessions/session-store.ts';
import { type FullReply, type HttpReply, type HttpRequest, toHeader } from '../messages.ts';
import type { RouteHandler } from '../routes.ts';
import { toEventStreamReply } from './event-stream.ts';
import {
  checkRequestHeaders,
  checkVersionHeader,
  requireBothAccepted,
  requireEventStreamAccepted,
  requireJsonBody,
  toParameterHeaders,
} from './mcp-headers.ts';

/** The handlers of the endpoint's three rows. */
export interface McpEndpoint {
  readonly post: RouteHandler;
  readonly get: RouteHandler;
  readonly delete: RouteHandler;
  /** Ends what the endpoint holds beside the engine. */
  close(): void;
}

type Single = Exclude<Incoming, { kind: 'invalid' }>;

const jsonHeaders = { 'Content-Type': 'application/json' };
const accepted: FullReply = { kind: 'full', status: 202, headers: {}, body: '' };
/** MCP 2025-11-25, Transports, Session Management: visible ASCII. Longer ones are not ours. */
const sessionIdPattern = /^[\x21-\x7e]{1,128}$/;

/** The endpoint over one engine. */
export function createMcpEndpoint(engine: Engine): McpEndpoint {
  const modern = createModernProtocol(engine);
  const legacy = createLegacyProtocol(engine);
  const sessionStreams = createSessionStreams(engine);
  const { logger } = engine;

  const postModern = (
    request: HttpRequest,
    message: JsonRpcRequest,
    caller: Caller,
  ): HttpReply | Promise<HttpReply> => {
    checkVersionHeader(request.headers, claimedVersion(message.params));
    const envelope = parseEnvelope(message.params);
    checkRequestHeaders(request.headers, message);
    if (message.method === 'subscriptions/listen') return listen(request, message, caller);
    const reply = new CallReply(createPlainStream);
    const cancel = modern.answer(message, envelope, {
      caller,
      reply,
      scope: undefined,
      parameterHeaders: () => toParameterHeaders(request.headers),
    });
    // MCP 2026-07-28, Streamable HTTP, Cancellation: a disconnect MUST be treated as one.
    request.onClose(cancel);
    return toReply(reply, caller, cancel);
  };

  const listen = (request: HttpRequest, message: JsonRpcRequest, { principal }: Caller): HttpReply => {
    const filter = parseListenFilter(message.params, engine.target.capabilities);
    const stream = createPlainStream();
    const close = openListen(engine, message, filter, { principal, stream });
    request.onClose(close);
    return {
      ...toEventStreamReply((sink) => {
        stream.attach(sink);
      }),
      log: { mcpMethod: message.method },
    };
  };

  const postLegacy = async (
    request: HttpRequest,
    messages: readonly Single[],
    isBatch: boolean,
    caller: Caller,
  ): Promise<HttpReply> => {
    const [first] = messages;
    if (!isBatch && first?.kind === 'request' && first.message.method === 'initialize')
      return initialize(first.message, caller);
    const session = await loadSession(request, caller);
    checkLegacyVersionHeader(request);
    if (isBatch && !allowsBatches(session.protocolVersion)) {
      throw new ProtocolError(
        protocolErrorCodes.invalidRequest,
        `Invalid request: MCP ${session.protocolVersion} has no batches`,
      );
    }
    const requests: JsonRpcRequest[] = [];
    for (const incoming of messages) {
      if (incoming.kind === 'request') requests.push(incoming.message);
      else if (incoming.kind === 'notification') await legacy.notified(incoming.message, session, caller);
      else await engine.answers.accept(session.id, incoming.message);
    }
    if (requests.length === 0) return accepted;
    if (requests.some(({ method }) => method === 'initialize')) {
      throw new ProtocolError(
        protocolErrorCodes.invalidRequest,
        'Invalid request: initialize cannot be part of a batch',
      );
    }
    const reply = createLegacyReply(session, caller);
    const replies = isBatch ? toBatchReplies(reply, requests.length) : [reply];
    requests.forEach((message, index) => {
      const part = replies[index];
      if (part !== undefined) legacy.answer(message, { caller, session, reply: part });
    });
    return toReply(
      reply,
      caller,
      () => {
        for (const { id } of requests) void engine.calls.cancel(session.id, id);
      },
      session.id,
    );
  };

  const initialize = async (message: JsonRpcRequest, caller: Caller): Promise<HttpReply> => {
    const { session, reply } = await legacy.initialize(
      message,
      caller,
      randomBytes(24).toString('base64url'),
    );
    return {
      kind: 'full',
      status: reply.status,
      headers: { ...jsonHeaders, 'Mcp-Session-Id': session.id },
      body: reply.text,
      log: {
        mcpMethod: message.method,
        clientName: session.clientInfo.name,
        protocolVersion: session.protocolVersion,
      },
    };
  };

  const createLegacyReply = (session: SessionRecord, caller: Caller): CallReply =>
    new CallReply(() =>
      createDurableStream({
        log: engine.events,
        bus: engine.bus,
        sessionId: session.id,
        streamId: randomBytes(9).toString('base64url'),
        primeRetryMs: canPollStreams(session.protocolVersion) ? engine.limits.retryMs : undefined,
        onError: (error) => {
          logger.error('mcp.stream_failed', { requestId: caller.requestId }, error);
        },
      }),
    );

  /** Waits for the call to be decided: one text, or a stream that stays open until its response. */
  const toReply = async (
    reply: CallReply,
    caller: Caller,
    cancel: () => void,
    sessionId?: string,
  ): Promise<HttpReply> => {
    const outcome = await reply.outcome;
    if (outcome.kind === 'json')
      return { kind: 'full', status: outcome.status, headers: jsonHeaders, body: outcome.text };
    const { stream } = outcome;
    return toEventStreamReply((sink) => {
      stream.attach(sink);
      const forget = engine.streams.add({
        principal: caller.principal,
        ...(sessionId === undefined ? {} : { sessionId }),
        isCall: true,
        keepAlive: () => {
          if (sink.isOpen) stream.keepAlive();
          else forget();
        },
        end: (reason) => {
          if (reason === 'stopping') stream.release(engine.limits.retryMs);
          else cancel();
        },
      });
      sink.onClose(forget);
    });
  };

  const loadSession = async (request: HttpRequest, { principal }: Caller): Promise<SessionRecord> => {
    const id = toHeader(request.headers, 'mcp-session-id');
    if (id === undefined || id === '')
      throw new RequestError('session_id_required', 'mcp-session-id header required');
    const session = sessionIdPattern.test(id) ? await engine.sessions.load(id) : undefined;
    // Another principal's session is answered like one that never was: there is nothing to learn from the answer.
    if (session === undefined || session.principalKey !== toPrincipalKey(principal)) {
      throw new RequestError('session_unknown', 'Unknown session ID');
    }
    return session;
  };

  const openSessionStream = async (request: HttpRequest, caller: Caller): Promise<HttpReply> => {
    const session = await loadSession(request, caller);
    checkLegacyVersionHeader(request);
    const lastEventId = toHeader(request.headers, 'last-event-id');
    return toEventStreamReply(
      await sessionStreams.open(session, caller.principal, lastEventId === '' ? undefined : lastEventId),
    );
  };

  return {
    post: (request) => {
      requireJsonBody(request.headers);
      requireBothAccepted(request.headers);
      const caller = toCaller(request);
      try {
        const body = parseBody(request.body);
        if (body.kind === 'batch')
          return refuseProtocolErrors(
            postLegacy(request, body.messages.map(requireValid), true, caller),
            caller,
          );
        const incoming = requireValid(body);
        if (isModern(request, incoming)) {
          if (incoming.kind !== 'request') return acceptModern(incoming);
          return withMethod(postModernGuarded(request, incoming.message, caller), incoming.message.method);
        }
        const id = incoming.kind === 'request' ? incoming.message.id : undefined;
        const reply = refuseProtocolErrors(postLegacy(request, [incoming], false, caller), caller, id);
        return incoming.kind === 'response' ? reply : withMethod(reply, incoming.message.method);
      } catch (error) {
        return refuse(error, caller, undefined);
      }
    },
    get: async (request) => {
      requireEventStreamAccepted(request.headers);
      const caller = toCaller(request);
      const session = await loadSession(request, caller);
      checkLegacyVersionHeader(request);
      const lastEventId = toHeader(request.headers, 'last-event-id');
      const open = await sessionStreams.open(
        session,
        caller.principal,
        lastEventId === '' ? undefined : lastEventId,
      );
      return toEventStreamReply(open);
    },
    delete: async (request) => {
      const session = await loadSession(request, toCaller(request));
      await legacy.end(session.id);
      return { kind: 'full', status: 204, headers: {}, body: '' };
    },
    close: () => {
      sessionStreams.close();
    },
  };

  function postModernGuarded(
    request: HttpRequest,
    message: JsonRpcRequest,
    caller: Caller,
  ): HttpReply | Promise<HttpReply> {
    try {
      return postModern(request, message, caller);
    } catch (error) {
      return refuse(error, caller, message.id);
    }
  }

  async function refuseProtocolErrors(
    reply: Promise<HttpReply>,
    caller: Caller,
    id?: JsonRpcRequest['id'],
  ): Promise<HttpReply> {
    try {
      return await reply;
    } catch (error) {
      return refuse(error, caller, id);
    }
  }

  /** A message that cannot be served at all: 400, and what is wrong with it. Other failures are told in HTTP. */
  function refuse(error: unknown, caller: Caller, id: JsonRpcRequest['id'] | undefined): FullReply {
    if (error instanceof InvalidMessage) return refuse(error.problem, caller, error.id);
    if (!(error instanceof ProtocolError)) throw error;
    const { text } = toErrorReply(id, error, { era: 'modern', requestId: caller.requestId, logger });
    return { kind: 'full', status: 400, headers: jsonHeaders, body: text };
  }
}

/** Not JSON-RPC, with the id where one could be read. */
class InvalidMessage extends Error {
  override readonly name = 'InvalidMessage';
  readonly id: JsonRpcRequest['id'] | undefined;
  readonly problem: ProtocolError;

  constructor(id: JsonRpcRequest['id'] | undefined, problem: string) {
    super(problem);
    this.id = id;
    this.problem = new ProtocolError(protocolErrorCodes.invalidRequest, `Invalid request: ${problem}`);
  }
}

function requireValid(incoming: Incoming): Single {
  if (incoming.kind === 'invalid') throw new InvalidMessage(incoming.id, incoming.problem);
  return incoming;
}

/**
 * A message is modern when its body or its version header says so; all else is for the legacy era to judge.
 *
 * @see MCP 2026-07-28, Versioning, Compatibility Matrix: a dual-era server selects by how the client opens
 */
function isModern(request: HttpRequest, incoming: Single): boolean {
  if (incoming.kind === 'request' && claimedVersion(incoming.message.params) !== undefined) return true;
  const version = toHeader(request.headers, 'mcp-protocol-version');
  return (
    version !== undefined &&
    !isLegacyVersion(version) &&
    toHeader(request.headers, 'mcp-session-id') === undefined
  );
}

/** This revision defines no notification over HTTP and takes no responses. MCP 2026-07-28, Streamable HTTP. */
function acceptModern(incoming: Single): FullReply {
  if (incoming.kind === 'notification') return accepted;
  throw new InvalidMessage(undefined, 'responses cannot be sent in this protocol version');
}

/** @see MCP 2025-11-25, Transports, Protocol Version Header: an unsupported version MUST be answered 400 */
function checkLegacyVersionHeader({ headers }: HttpRequest): void {
  const version = toHeader(headers, 'mcp-protocol-version');
  if (version !== undefined && !isLegacyVersion(version)) throw toUnsupportedVersion(version);
}

function toCaller({ principal, requestId }: HttpRequest): Caller {
  // The endpoint's rows demand a principal, so the pipeline has put one here.
  if (principal === undefined) throw new TypeError('the MCP endpoint was mounted without authentication');
  return { principal, requestId };
}

function withMethod(
  reply: HttpReply | Promise<HttpReply>,
  mcpMethod: string,
): HttpReply | Promise<HttpReply> {
  return reply instanceof Promise
    ? reply.then((settled) => addMethod(settled, mcpMethod))
    : addMethod(reply, mcpMethod);
}

function addMethod(reply: HttpReply, mcpMethod: string): HttpReply {
  // Bounded: a client may send any text as a method.
  return { ...reply, log: { mcpMethod: mcpMethod.slice(0, 64), ...reply.log } };
}
