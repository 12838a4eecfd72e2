import type { Principal } from '../auth/principal.ts';
import type {
  ClientCapabilities,
  Implementation,
  JsonRpcId,
  JsonRpcNotification,
  LoggingLevel,
  ServerCapabilities,
} from './protocol-types.ts';
import type { Handles, SessionState } from './handler-context.ts';
import type { HandlerFailure } from './handler-failure.ts';
import type { ScopeRules } from './scope-rules.ts';
import type { CacheHint } from './server-definition.ts';
import type { PresentedState } from './single-use-state.ts';

/** A question to the client, as the specification names it. */
export interface ClientQuestion {
  readonly method: 'elicitation/create' | 'sampling/createMessage' | 'roots/list';
  readonly params: Readonly<Record<string, unknown>>;
  /** Unique in the call. */
  readonly key: string;
  /** How long a legacy call waits for the answer. Default: the host's setting. */
  readonly timeoutMs?: number;
  /** What is wrong with an answer, for the log and the model; `undefined` when it will do. Default: any answer will. */
  readonly objection?: (
    answer: Readonly<Record<string, unknown>>,
  ) => string | undefined | Promise<string | undefined>;
}

/** Something that concerns more clients than the one that caused it. */
export type ServerChange =
  | {
      readonly kind: 'list_changed';
      readonly list: 'tools' | 'prompts' | 'resources';
      readonly tenantId: string | undefined;
    }
  | { readonly kind: 'resource_updated'; readonly uri: string; readonly tenantId: string | undefined };

/**
 * One request of a client while it is being answered, whatever the era and the transport: who asked, and the ways
 * back to them.
 */
export interface Exchange {
  readonly era: 'modern' | 'legacy';
  readonly protocolVersion: string;
  readonly id: JsonRpcId;
  readonly requestId: string;
  readonly principal: Principal;
  readonly clientInfo: Implementation | undefined;
  readonly clientCapabilities: ClientCapabilities;
  /** Least severe level the client wants; `undefined`: none at all. */
  readonly logLevel: LoggingLevel | undefined;
  readonly session: SessionState | undefined;
  readonly handles: Handles;
  readonly signal: AbortSignal;
  /** `Mcp-Param-*` request headers by lower-case name; `undefined` where there are none to check: off HTTP, legacy. */
  readonly parameterHeaders: Readonly<Record<string, string>> | undefined;
  /**
   * To be called as the last step before the author's code runs, when nothing can refuse the request any more: makes
   * sure that no other request runs with the same `requestState`. Can be called again.
   *
   * @param state of a target that `ownsRequestState`, when the request came with one
   * @returns nothing to wait for when the request has no state
   * @throws ProtocolError `-32602` when the state was used before
   * @throws RequestError `unavailable` when that cannot be known
   */
  enter(state?: PresentedState): Promise<void> | undefined;
  /** Sends a notification that relates to this request. Nothing is sent once the request is answered. */
  notify(notification: JsonRpcNotification): void;
  /**
   * Asks the client. In the modern era it returns an answer that came with the request, or rejects with
   * `InputRequired` after arranging for the question to be sent.
   *
   * @throws ProtocolError `-32021` when the client did not declare what the question needs
   */
  ask(question: ClientQuestion): Promise<Readonly<Record<string, unknown>>>;
  /** A value kept over the rounds of a modern request; `undefined` when it has none yet. */
  recall(key: string): string | undefined;
  remember(key: string, value: string): void;
  publish(change: ServerChange): Promise<void>;
  /** Logs what an author's code threw, under this request's id. */
  report(failure: HandlerFailure): void;
  releaseConnection(retryMs: number | undefined): void;
}

/** A request for a feature: everything but the protocol's own housekeeping. */
export interface FeatureRequest {
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/**
 * What feature requests (`tools/*`, `resources/*`, `prompts/*`, `completion/complete` and a hosted server's own) are
 * dispatched to: a compiled definition, or a hosted SDK server. The protocol's housekeeping (initialize, discover,
 * ping, levels, subscriptions, sessions, streams) is the same for both and never reaches it.
 */
export interface DispatchTarget {
  readonly serverInfo: Implementation;
  readonly instructions: string | undefined;
  readonly capabilities: ServerCapabilities;
  /** How long what `server/discover` tells may be kept. Default: stale at once, private. */
  readonly discoveryCache?: CacheHint;
  /** Whether `requestState` is the target's own business: sealed and opened by it, not by the engine. */
  readonly ownsRequestState?: boolean;
  /** Which scopes callers need. Default: none for anything. */
  readonly scopes?: ScopeRules;
  /**
   * Answers one request.
   *
   * @returns JSON text of the result object, whole for the exchange's era: `resultType`, server info and cache
   *   hints in the modern one
   * @throws ProtocolError to be told as a JSON-RPC error
   */
  dispatch(request: FeatureRequest, exchange: Exchange): Promise<string>;
  /** Passes on a client's notification that housekeeping does not consume, e.g. `roots/list_changed`. */
  notified?(notification: JsonRpcNotification, exchange: Exchange): void;
  close(): Promise<void>;
}
