/**
 * The 2025 revisions: sessions, and everything in them that is answered the same whatever server is hosted.
 * MCP 2025-03-26, 2025-06-18, 2025-11-25.
 */
import { type Principal, toPrincipalKey } from '../auth/principal.ts';
import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import type { SessionRecord, SessionStore } from '../sessions/session-store.ts';
import { answerCall } from './answer-call.ts';
import type { Reply } from './call-reply.ts';
import type { Engine } from './engine.ts';
import { isId, isRecord, renderResult } from './json-rpc.ts';
import { LegacyExchange } from './legacy-exchange.ts';
import { isLoggingLevel } from './logging-levels.ts';
import { isImplementation } from './modern-envelope.ts';
import { isLegacyVersion, legacyVersions } from './protocol-versions.ts';
import type { ClientCapabilities, JsonRpcNotification, JsonRpcRequest } from './protocol-types.ts';
import type { RpcReply } from './rpc-reply.ts';
import type { Caller } from './server-exchange.ts';
import { createSessionState } from './session-state.ts';

/** Most resources one session may be subscribed to. */
export const maxSubscriptions = 1000;

/** Longest resource URI that may be subscribed to. */
export const maxSubscribedUriLength = 2048;

/** How one legacy request is answered. */
export interface LegacyCall {
  readonly caller: Caller;
  readonly session: SessionRecord;
  readonly reply: Reply;
}

/** A session that was just opened. */
export interface OpenedSession {
  readonly session: SessionRecord;
  readonly reply: RpcReply;
}

/** Serves legacy sessions. */
export interface LegacyProtocol {
  /**
   * Answers `initialize`: opens a session under an id that the caller made.
   *
   * @param ttlMs absolute life of the session; default: the engine's limit
   * @throws ProtocolError `-32602` for malformed params
   */
  initialize(
    request: JsonRpcRequest,
    caller: Caller,
    sessionId: string,
    ttlMs?: number,
  ): Promise<OpenedSession>;
  /** Answers a request through `call.reply`. Never rejects. */
  answer(request: JsonRpcRequest, call: LegacyCall): void;
  /** Takes a client's notification. */
  notified(notification: JsonRpcNotification, session: SessionRecord, caller: Caller): Promise<void>;
  /** Ends a session on this instance and tells the others. @returns whether it existed */
  end(sessionId: string): Promise<boolean>;
}

const noParams: Readonly<Record<string, unknown>> = {};
/** Requests that only the modern era has. */
const modernMethods: ReadonlySet<string> = new Set(['server/discover', 'subscriptions/listen']);

/** The legacy era of one engine. */
export function createLegacyProtocol(engine: Engine): LegacyProtocol {
  const { target, sessions, events, calls, limits } = engine;

  const housekeeping: Readonly<
    Record<string, (params: Readonly<Record<string, unknown>>, session: SessionRecord) => Promise<string>>
  > = {
    ping: () => Promise.resolve('{}'),
    'logging/setLevel': async ({ level }, session) => {
      if (!isLoggingLevel(level)) throw invalid('level is not a log level');
      await sessions.update(session.id, () => ({ logLevel: level }));
      return '{}';
    },
    'resources/subscribe': async ({ uri }, session) => {
      requireSubscribable(uri);
      await changeSubscriptions(session, (current) => {
        if (current.includes(uri)) return current;
        if (current.length >= maxSubscriptions)
          throw invalid(`a session may subscribe to at most ${maxSubscriptions} resources`);
        return [...current, uri];
      });
      return '{}';
    },
    'resources/unsubscribe': async ({ uri }, session) => {
      requireSubscribable(uri);
      await changeSubscriptions(session, (current) =>
        current.includes(uri) ? current.filter((other) => other !== uri) : current,
      );
      return '{}';
    },
  };

  const changeSubscriptions = async (
    { id }: SessionRecord,
    change: (current: readonly string[]) => readonly string[],
  ): Promise<void> => {
    let isChanged = false;
    await withinBounds(() =>
      sessions.update(id, ({ subscriptions: current }) => {
        const subscriptions = change(current);
        isChanged = subscriptions !== current;
        return isChanged ? { subscriptions } : undefined;
      }),
    );
    // Whoever holds the session's stream must look again.
    if (isChanged) await engine.bus.publish(`session.${id}`, 'changed');
  };

  const requireSubscribable: (uri: unknown) => asserts uri is string = (uri) => {
    if (target.capabilities.resources?.subscribe !== true)
      throw new ProtocolError(
        protocolErrorCodes.methodNotFound,
        'This server has no resources to subscribe to',
      );
    if (typeof uri !== 'string' || uri.length > maxSubscribedUriLength)
      throw invalid(`uri must be a string of at most ${maxSubscribedUriLength} characters`);
  };

  const dispatch = (
    request: JsonRpcRequest,
    exchange: LegacyExchange,
    session: SessionRecord,
  ): Promise<string> => {
    const params = request.params ?? noParams;
    const { method } = request;
    if (Object.hasOwn(housekeeping, method))
      return (housekeeping[method] as (typeof housekeeping)[string])(params, session);
    if (modernMethods.has(method))
      return Promise.reject(
        new ProtocolError(protocolErrorCodes.methodNotFound, `Method not found: ${method}`),
      );
    return target.dispatch({ method, params }, exchange);
  };

  const createExchange = (
    id: JsonRpcRequest['id'],
    session: SessionRecord,
    caller: Caller,
    reply: Reply | undefined,
  ): LegacyExchange => {
    const exchange: LegacyExchange = new LegacyExchange(
      {
        id,
        session,
        caller,
        answers: engine.answers,
        push: (message) => {
          if (!exchange.isAborted) reply?.push(message);
        },
        release: (retryMs) => reply?.upgrade().release(retryMs ?? limits.retryMs),
        state: () => createSessionState(sessions, session.id),
      },
      engine,
    );
    return exchange;
  };

  return {
    initialize: async (request, caller, sessionId, ttlMs = limits.sessionTtlMs) => {
      const session = parseInitialize(request, caller, { id: sessionId, createdAt: engine.now(), ttlMs });
      const evicted = await withinBounds(() => sessions.create(session));
      await Promise.all(evicted.map(endStreams));
      const result = JSON.stringify({
        protocolVersion: session.protocolVersion,
        capabilities: target.capabilities,
        serverInfo: target.serverInfo,
        instructions: target.instructions,
      });
      return { session, reply: { status: 200, text: renderResult(request.id, result) } };
    },
    answer: (request, { caller, session, reply }) => {
      const exchange = createExchange(request.id, session, caller, reply);
      answerCall(engine, {
        exchange,
        reply,
        scope: session.id,
        run: () => dispatch(request, exchange, session),
      });
    },
    notified: async (notification, session, caller) => {
      if (notification.method === 'notifications/cancelled') {
        const requestId = notification.params?.['requestId'];
        if (isId(requestId)) await calls.cancel(session.id, requestId);
        return;
      }
      target.notified?.(notification, createExchange(0, session, caller, undefined));
    },
    end: async (sessionId) => {
      const existed = await sessions.end(sessionId);
      await endStreams(sessionId);
      return existed;
    },
  };

  async function endStreams(sessionId: string): Promise<void> {
    await events.end(sessionId);
    await calls.endScope(sessionId);
    await engine.bus.publish(`session.${sessionId}`, 'ended');
  }
}

/**
 * How long a session is kept for a newer token. Clients learn of the end of one from a 401, and come back with the next:
 * a session that had ended together with the token would be lost each time.
 */
const renewalGraceMs = 300_000;

/** A session ends at its greatest age, and with the credential that it is used with. */
function toSessionEnd(oldestAt: number, { expiresAt, token }: Principal): number {
  if (expiresAt === undefined) return oldestAt;
  return Math.min(oldestAt, expiresAt + (token === undefined ? 0 : renewalGraceMs));
}

/**
 * Lets a session go on with a newer token of its principal: it is bound to who calls, not to what they present.
 *
 * @param ttlMs the greatest age of a session
 */
export async function prolongSession(
  sessions: Pick<SessionStore, 'update'>,
  session: SessionRecord,
  { principal, ttlMs }: { readonly principal: Principal; readonly ttlMs: number },
): Promise<void> {
  if (principal.token === undefined) return;
  const expiresAt = toSessionEnd(session.createdAt + ttlMs, principal);
  if (expiresAt <= session.expiresAt) return;
  await sessions.update(session.id, (record) => (expiresAt > record.expiresAt ? { expiresAt } : undefined));
}

function parseInitialize(
  request: JsonRpcRequest,
  { principal }: Caller,
  { id, createdAt, ttlMs }: { readonly id: string; readonly createdAt: number; readonly ttlMs: number },
): SessionRecord {
  const { protocolVersion, clientInfo, capabilities } = request.params ?? noParams;
  if (typeof protocolVersion !== 'string') throw invalid('protocolVersion must be a string');
  if (!isImplementation(clientInfo)) throw invalid('clientInfo needs a name and a version');
  if (capabilities !== undefined && !isRecord(capabilities)) throw invalid('capabilities must be an object');
  return {
    id,
    principalKey: toPrincipalKey(principal),
    tenantId: principal.activeTenantId,
    credentialId: principal.credentialId,
    // MCP 2025-11-25, Lifecycle, Version Negotiation: theirs if we have it, else our newest.
    protocolVersion: isLegacyVersion(protocolVersion) ? protocolVersion : (legacyVersions[0] as string),
    clientInfo: {
      name: clientInfo.name,
      version: clientInfo.version,
      ...(clientInfo.title === undefined ? {} : { title: clientInfo.title }),
    },
    clientCapabilities: (capabilities ?? {}) as ClientCapabilities,
    subscriptions: [],
    createdAt,
    expiresAt: toSessionEnd(createdAt + ttlMs, principal),
  };
}

/** What a client makes us remember of it has a bound, and passing it is the client's fault. */
async function withinBounds<Value>(store: () => Promise<Value>): Promise<Value> {
  try {
    return await store();
  } catch (error) {
    if (error instanceof RangeError)
      throw invalid('the client describes itself, or subscribes, at too great a length');
    throw error;
  }
}

function invalid(problem: string): ProtocolError {
  return new ProtocolError(protocolErrorCodes.invalidParams, `Invalid params: ${problem}`);
}
