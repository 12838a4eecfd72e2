/** The 2025 revisions over HTTP: sessions, their POSTs, their GET streams, their end. MCP 2025-11-25, Transports. */
import { randomBytes } from 'node:crypto';
import { toPrincipalKey } from '../../auth/principal.ts';
import { ProtocolError, protocolErrorCodes, RequestError } from '../../errors.ts';
import { repeatWhileAway } from '../../lib/repeat-while-away.ts';
import { CallReply, createDurableStream, toBatchReplies } from '../../mcp/call-reply.ts';
import type { Engine } from '../../mcp/engine.ts';
import type { ValidIncoming } from '../../mcp/json-rpc.ts';
import { renderCallStreamId } from '../../mcp/call-stream-id.ts';
import { createLegacyProtocol, prolongSession } from '../../mcp/legacy-protocol.ts';
import { toUnsupportedVersion } from '../../mcp/modern-envelope.ts';
import { allowsBatches, canPollStreams, isLegacyVersion } from '../../mcp/protocol-versions.ts';
import type { JsonRpcId, JsonRpcRequest } from '../../mcp/protocol-types.ts';
import type { Caller } from '../../mcp/server-exchange.ts';
import { createSessionStreams } from '../../mcp/session-streams.ts';
import type { SessionRecord } from '../../sessions/session-store.ts';
import { type HttpReply, type HttpRequest, toHeader } from '../messages.ts';
import { acceptedReply, callToReply, jsonHeaders, toCallLog } from './call-to-reply.ts';
import { toEventStreamReply } from './event-stream.ts';

/**
 * Legacy requests of the endpoint. All may reject with `RequestError` (`session_id_required`, `session_unknown`) and
 * with `ProtocolError` for a message that cannot be served.
 */
export interface LegacyEndpoint {
  post(request: HttpRequest, incoming: ValidIncoming, caller: Caller): Promise<HttpReply>;
  postBatch(request: HttpRequest, messages: readonly ValidIncoming[], caller: Caller): Promise<HttpReply>;
  openStream(request: HttpRequest, caller: Caller): Promise<HttpReply>;
  end(request: HttpRequest, caller: Caller): Promise<HttpReply>;
  close(): void;
}

/** Visible ASCII; a longer one is not ours. MCP 2025-11-25, Transports, Session Management. */
const sessionIdPattern = /^[\x21-\x7e]{1,128}$/;
const sessionIdBytes = 24;
/** How long the answer to a question waits for shared stores that are away: clients do not send it again. */
const answerWaitMs = 8000;
/** Longest part of a client's own name in the log. */
const maxLoggedName = 64;

/** The legacy era of the endpoint. */
export function createLegacyEndpoint(engine: Engine): LegacyEndpoint {
  const protocol = createLegacyProtocol(engine);
  const streams = createSessionStreams(engine);

  const loadSession = async (request: HttpRequest, { principal }: Caller): Promise<SessionRecord> => {
    const id = toHeader(request.headers, 'mcp-session-id');
    if (id === undefined || id === '') {
      throw new RequestError('session_id_required', 'mcp-session-id header required');
    }
    const session = sessionIdPattern.test(id) ? await engine.sessions.load(id) : undefined;
    // Another principal's session is answered like one that never was: there is nothing to learn from the answer.
    if (session === undefined || session.principalKey !== toPrincipalKey(principal)) {
      throw new RequestError('session_unknown', 'Unknown session ID');
    }
    requireLegacyVersion(request);
    await prolongSession(engine.sessions, session, { principal, ttlMs: engine.limits.sessionTtlMs });
    return session;
  };

  const initialize = async (message: JsonRpcRequest, caller: Caller): Promise<HttpReply> => {
    const id = randomBytes(sessionIdBytes).toString('base64url');
    const { session, reply } = await protocol.initialize(message, caller, id);
    return {
      kind: 'full',
      status: reply.status,
      headers: { ...jsonHeaders, 'Mcp-Session-Id': session.id },
      body: reply.text,
      log: {
        ...toCallLog(message.method),
        clientName: session.clientInfo.name.slice(0, maxLoggedName),
        protocolVersion: session.protocolVersion,
      },
    };
  };

  /** Takes what needs no answer. @returns the requests, which do */
  const takeOthers = async (
    messages: readonly ValidIncoming[],
    session: SessionRecord,
    caller: Caller,
  ): Promise<JsonRpcRequest[]> => {
    const requests: JsonRpcRequest[] = [];
    for (const incoming of messages) {
      if (incoming.kind === 'request') requests.push(incoming.message);
      else if (incoming.kind === 'notification') await protocol.notified(incoming.message, session, caller);
      else await engine.answers.accept(session, incoming.message);
    }
    return requests;
  };

  const createReply = (session: SessionRecord, { requestId }: Caller, ids: readonly JsonRpcId[]): CallReply =>
    new CallReply(() =>
      createDurableStream({
        log: engine.events,
        bus: engine.bus,
        sessionId: session.id,
        streamId: renderCallStreamId({ instanceId: engine.instanceId, ids }),
        primeRetryMs: canPollStreams(session.protocolVersion) ? engine.limits.retryMs : undefined,
        onError: (error) => {
          engine.logger.error('mcp.stream_failed', { requestId }, error);
        },
      }),
    );

  return {
    post: async (request, incoming, caller) => {
      if (incoming.kind === 'request' && incoming.message.method === 'initialize')
        return initialize(incoming.message, caller);
      if (incoming.kind === 'response') {
        const id = toHeader(request.headers, 'mcp-session-id') ?? '';
        const party = { id, principalKey: toPrincipalKey(caller.principal) };
        // Both at once: who waits for the answer knows whose it must be. Taken twice it counts once: the question is gone
        // by then.
        await repeatWhileAway(
          () => Promise.all([loadSession(request, caller), engine.answers.accept(party, incoming.message)]),
          answerWaitMs,
        );
        return acceptedReply;
      }
      const session = await loadSession(request, caller);
      if (incoming.kind !== 'request') {
        await takeOthers([incoming], session, caller);
        return acceptedReply;
      }
      const { message } = incoming;
      const reply = createReply(session, caller, [message.id]);
      protocol.answer(message, { caller, session, reply });
      return callToReply(reply, {
        engine,
        caller,
        sessionId: session.id,
        log: toCallLog(message.method),
        cancel: () => void engine.calls.cancel(session.id, message.id),
      });
    },
    postBatch: async (request, messages, caller) => {
      const session = await loadSession(request, caller);
      requireBatch(messages, session);
      const requests = await takeOthers(messages, session, caller);
      if (requests.length === 0) return acceptedReply;
      const reply = createReply(
        session,
        caller,
        requests.map(({ id }) => id),
      );
      const replies = toBatchReplies(reply, requests.length);
      requests.forEach((message, index) => {
        const part = replies[index];
        if (part !== undefined) protocol.answer(message, { caller, session, reply: part });
      });
      return callToReply(reply, {
        engine,
        caller,
        sessionId: session.id,
        log: toCallLog('batch'),
        cancel: () => {
          for (const { id } of requests) void engine.calls.cancel(session.id, id);
        },
      });
    },
    openStream: async (request, caller) => {
      const session = await loadSession(request, caller);
      const lastEventId = toHeader(request.headers, 'last-event-id');
      const stream = await streams.open(
        session,
        caller.principal,
        lastEventId === '' ? undefined : lastEventId,
      );
      // A client that leaves before the head is sent never gets a sink.
      request.onClose(() => {
        stream.abandon();
      });
      return toEventStreamReply((sink) => {
        stream.attach(sink);
      });
    },
    end: async (request, caller) => {
      const session = await loadSession(request, caller);
      await protocol.end(session.id);
      return { kind: 'full', status: 204, headers: {}, body: '' };
    },
    close: () => {
      streams.close();
    },
  };
}

/** @throws ProtocolError `-32600` where the session's revision has no batches, or one holds what it must not */
function requireBatch(messages: readonly ValidIncoming[], session: SessionRecord): void {
  const { invalidRequest } = protocolErrorCodes;
  if (!allowsBatches(session.protocolVersion)) {
    throw new ProtocolError(invalidRequest, `Invalid request: MCP ${session.protocolVersion} has no batches`);
  }
  if (messages.some(({ kind, message }) => kind === 'request' && message.method === 'initialize')) {
    throw new ProtocolError(invalidRequest, 'Invalid request: initialize cannot be part of a batch');
  }
}

/** @throws ProtocolError `-32022`, told as 400. MCP 2025-11-25, Transports, Protocol Version Header */
function requireLegacyVersion({ headers }: HttpRequest): void {
  const version = toHeader(headers, 'mcp-protocol-version');
  if (version !== undefined && !isLegacyVersion(version)) throw toUnsupportedVersion(version);
}
