/**
 * Every error this host raises on purpose, and the one table from its code to an HTTP status.
 *
 * `message` may reach the caller; `detail` and `cause` reach only the log.
 */

/** A stable name for one way a request can fail, in `snake_case`. Operators may alert on them. */
export type RequestErrorCode =
  | 'authentication_required'
  | 'invalid_token'
  | 'forbidden'
  | 'host_not_allowed'
  | 'origin_not_allowed'
  | 'not_found'
  | 'session_unknown'
  | 'session_id_required'
  | 'request_invalid'
  | 'token_in_query'
  | 'method_not_allowed'
  | 'not_acceptable'
  | 'request_timeout'
  | 'conflict'
  | 'body_too_large'
  | 'unsupported_media_type'
  | 'headers_too_large'
  | 'internal_error'
  | 'unavailable';

const requestErrorStatus: Readonly<Record<RequestErrorCode, number>> = {
  authentication_required: 401,
  invalid_token: 401,
  forbidden: 403,
  host_not_allowed: 403,
  origin_not_allowed: 403,
  not_found: 404,
  session_unknown: 404,
  session_id_required: 400,
  request_invalid: 400,
  token_in_query: 400,
  method_not_allowed: 405,
  not_acceptable: 406,
  request_timeout: 408,
  conflict: 409,
  body_too_large: 413,
  unsupported_media_type: 415,
  headers_too_large: 431,
  internal_error: 500,
  unavailable: 503,
};

/** Every request error code, for the generated error reference. */
export const requestErrorCodes: readonly RequestErrorCode[] = Object.keys(
  requestErrorStatus,
) as RequestErrorCode[];

/** The HTTP status of a request error code. */
export function toHttpStatus(code: RequestErrorCode): number {
  return requestErrorStatus[code];
}

/** What an error says beyond its message. */
export interface RequestErrorOptions {
  /** Response headers that belong to this failure, e.g. `WWW-Authenticate`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** For the log only; never sent. */
  readonly detail?: string;
  /** For the log only; never sent. */
  readonly cause?: unknown;
}

/** The caller's fault, told in HTTP: becomes a 4xx with its headers. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly code: RequestErrorCode;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly detail: string | undefined;

  constructor(code: RequestErrorCode, message: string, options: RequestErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.status = requestErrorStatus[code];
    this.headers = options.headers ?? {};
    this.detail = options.detail;
  }
}

/**
 * JSON-RPC and MCP error codes this host answers with.
 *
 * @see JSON-RPC 2.0, section 5.1; MCP 2026-07-28, Base Protocol, Error Codes
 */
export const protocolErrorCodes = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internalError: -32603,
  /** MCP 2025-11-25 and earlier only. */
  resourceNotFound: -32002,
  headerMismatch: -32020,
  missingRequiredClientCapability: -32021,
  unsupportedProtocolVersion: -32022,
} as const;

/** The caller's fault, told in MCP: becomes a JSON-RPC error that carries the request's id. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly code: number;
  readonly data: unknown;

  constructor(code: number, message: string, data?: unknown) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

/** One thing wrong with the configuration, named so that the operator can find it. */
export interface ConfigProblem {
  /** The variable or file that is wrong, e.g. `PORT`. */
  readonly setting: string;
  /** What was expected, and what was found, without any secret. */
  readonly problem: string;
}

/** The operator's fault: every problem at once, before anything listens. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(({ setting, problem }) => `${setting}: ${problem}`).join('\n'));
    this.problems = problems;
  }
}

/** Redis, PostgreSQL, an issuer or a hosted server failed us: becomes 502, 503 or 504, never the caller's fault. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError';
  readonly upstream: string;
  readonly retryAfterSeconds: number;

  constructor(upstream: string, message: string, options: { cause?: unknown; retryAfterSeconds?: number } = {}) {
    super(message, { cause: options.cause });
    this.upstream = upstream;
    this.retryAfterSeconds = options.retryAfterSeconds ?? 1;
  }
}
