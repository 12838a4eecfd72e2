import type { Principal } from '../auth/principal.ts';
import type { AnySchema, Parsed } from './server-definition.ts';
import type {
  ClientCapabilities,
  CreateMessageParams,
  CreateMessageResult,
  ElicitFormParams,
  Implementation,
  LoggingLevel,
  Root,
} from './protocol-types.ts';

/** Names one question among those of a call, so that an answer finds it again when the handler runs again. */
export interface QuestionOptions {
  /** Unique in the call. Default: the question's position in it. */
  readonly key?: string;
  /** How long to wait for the client. Default: `QUESTION_TIMEOUT_MS`; legacy era only, the stateless era does not wait. */
  readonly timeoutMs?: number;
}

/** What a user answered. `content` is parsed by the schema that asked. */
export type ElicitAnswer<Content> =
  | { readonly action: 'accept'; readonly content: Content }
  | { readonly action: 'decline' | 'cancel' };

/** Application values that live as long as a legacy session. */
export interface SessionState {
  readonly id: string;
  get<Value = unknown>(key: string): Promise<Value | undefined>;
  /** @throws RangeError past 64 KiB for all values of the session */
  set(key: string, value: unknown): Promise<void>;
  delete(key: string): Promise<void>;
  /** Reads, changes and writes without losing a concurrent change; `change` may run more than once. */
  update<Value = unknown>(key: string, change: (value: Value | undefined) => Value): Promise<Value>;
}

/** State for the stateless era: a value sealed into a string that only this principal can use, until it expires. */
export interface Handles {
  /** @param ttlSeconds default 3600, at most 86400 */
  seal(value: unknown, options?: { readonly ttlSeconds?: number }): string;
  /** @throws ToolError when the handle is malformed, altered, expired, or another principal's */
  open<Value = unknown>(handle: string): Value;
}

/**
 * What a handler knows and can do beside its arguments. Made for one call and of no use after it.
 */
export interface HandlerContext {
  readonly principal: Principal;
  readonly era: 'modern' | 'legacy';
  readonly protocolVersion: string;
  /** As the client names itself; never a reason to trust it. */
  readonly clientInfo: Implementation | undefined;
  readonly clientCapabilities: ClientCapabilities;
  /** For logs: the HTTP request's id, or the JSON-RPC id over stdio. */
  readonly requestId: string;
  /** Aborts when the client cancels, the stateless client disconnects, or the host stops. */
  readonly signal: AbortSignal;
  /** Legacy era only. */
  readonly session: SessionState | undefined;
  /** Both eras. */
  readonly handles: Handles;

  /** Tells how far the call is; nothing is sent unless the client asked. `progress` must grow. */
  progress(progress: number, total?: number, message?: string): void;
  /** Sends a log message at a level the client wants; otherwise nothing. */
  log(level: LoggingLevel, data: unknown, logger?: string): void;

  /**
   * Asks the user to fill in a form. Written once for both eras.
   *
   * Legacy: a request on the call's stream; the handler waits here. Stateless (2026-07-28): the call ends with
   * `input_required`, and the client's retry runs the handler again from the top; this question then returns its
   * answer. So ask before you act, or put what must not run twice into `once`. Questions asked together
   * (`Promise.all`) travel together. Do not catch `InputRequired`.
   *
   * @throws ProtocolError `-32021` when the client did not declare `elicitation`
   */
  elicit<const Schema extends AnySchema>(
    message: string,
    schema: Schema,
    options?: QuestionOptions,
  ): Promise<ElicitAnswer<Parsed<Schema>>>;
  /** Asks with a form given as the specification's own `requestedSchema`. */
  elicitForm(
    params: Omit<ElicitFormParams, 'mode' | '_meta' | 'task'>,
    options?: QuestionOptions,
  ): Promise<ElicitAnswer<Readonly<Record<string, unknown>>>>;
  /** Sends the user to a URL, for what must not pass through the client. */
  elicitUrl(
    message: string,
    url: string,
    options?: QuestionOptions,
  ): Promise<'accept' | 'decline' | 'cancel'>;
  /** Asks the client's model. @throws ProtocolError `-32021` when the client did not declare `sampling` */
  sample(params: CreateMessageParams, options?: QuestionOptions): Promise<CreateMessageResult>;
  /** Asks for the client's roots. @throws ProtocolError `-32021` when the client did not declare `roots` */
  listRoots(options?: QuestionOptions): Promise<readonly Root[]>;
  /**
   * Runs `work` once in a call that asks questions, however often the handler runs: its result travels in the
   * sealed request state. Keep it small (JSON, at most 16 KiB in all).
   */
  once<Value>(key: string, work: () => Value | Promise<Value>): Promise<Value>;

  /** Tells every interested client of this tenant that a resource changed. */
  resourceUpdated(uri: string): Promise<void>;
  /** Tells every interested client of this tenant that a list changed. */
  listChanged(list: 'tools' | 'prompts' | 'resources'): Promise<void>;
  /**
   * Closes the connection of this call's stream, not the stream: the client comes back with `Last-Event-ID` after
   * `retryMs` and finds everything since. Does nothing where streams cannot be resumed (before 2025-11-25, the
   * stateless era, stdio).
   */
  releaseConnection(retryMs?: number): void;
}
