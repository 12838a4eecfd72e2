/**
 * Every error this host raises on purpose, and the one table from its code to an HTTP status.
 *
 * `message` may reach the caller; `detail` and `cause` reach only the log.
 */

/** A stable name for one way a request can fail, in `snake_case`. Operators may alert on them. */
export type RequestErrorCode =
  | 'authentication_required'
  | 'invalid_token'
  | 'invalid_dpop_proof'
  | 'forbidden'
  | 'insufficient_scope'
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
  | 'too_many_streams'
  | 'rate_limited'
  | 'headers_too_large'
  | 'internal_error'
  | 'unavailable';

interface RequestErrorRow {
  readonly status: number;
  /** For the error reference: what happened, and what the caller or the operator can do. */
  readonly meaning: string;
}

const requestErrors: Readonly<Record<RequestErrorCode, RequestErrorRow>> = {
  authentication_required: {
    status: 401,
    meaning: 'No credential came with the request. Send `Authorization: Bearer` with an API key.',
  },
  invalid_token: {
    status: 401,
    meaning: 'The credential is unknown, switched off, expired or malformed. Get another one.',
  },
  invalid_dpop_proof: {
    status: 401,
    meaning:
      'The token is bound to a key, and the `DPoP` header does not prove that the caller holds it: missing, malformed, for another request, too old, or used before.',
  },
  forbidden: { status: 403, meaning: 'The credential is valid but may not do this.' },
  insufficient_scope: {
    status: 403,
    meaning:
      'The credential lacks a scope that the request needs; `WWW-Authenticate` names all of them. Ask for these, or use another key.',
  },
  host_not_allowed: {
    status: 403,
    meaning:
      'The `Host` header names a host that is not ours. If it is, add it to `ALLOWED_HOSTS` or set `PUBLIC_URL`.',
  },
  origin_not_allowed: {
    status: 403,
    meaning:
      'A web page of an origin that is not allowed sent the request. If it may, add it to `ALLOWED_ORIGINS`.',
  },
  not_found: {
    status: 404,
    meaning: 'There is nothing at this path, or nothing that this caller may know of.',
  },
  session_unknown: {
    status: 404,
    meaning:
      'The session has ended, has expired, was never ours, or is of another principal. Initialize a new one.',
  },
  session_id_required: {
    status: 400,
    meaning: 'A request of a 2025 revision came without its `Mcp-Session-Id` header. Initialize first.',
  },
  request_invalid: {
    status: 400,
    meaning: 'The request is not what this path takes; the message says where.',
  },
  token_in_query: {
    status: 400,
    meaning:
      'A credential came in the URL, where logs keep it. Send it in `Authorization`, and replace it: it has leaked.',
  },
  method_not_allowed: {
    status: 405,
    meaning: 'The path exists, but not for this HTTP method. `Allow` lists those it has.',
  },
  not_acceptable: {
    status: 406,
    meaning:
      'The `Accept` header excludes what the answer may be: list `application/json` and `text/event-stream`.',
  },
  request_timeout: {
    status: 408,
    meaning: 'The request did not arrive whole in time (`REQUEST_TIMEOUT_MS`).',
  },
  conflict: {
    status: 409,
    meaning: 'The state of the thing forbids the change, or another change came first.',
  },
  body_too_large: { status: 413, meaning: 'The body is larger than `MAX_BODY_BYTES`.' },
  unsupported_media_type: { status: 415, meaning: 'The body is not `application/json`, or is compressed.' },
  too_many_streams: {
    status: 429,
    meaning: 'The caller has as many streams open as it may (`MAX_STREAMS_PER_PRINCIPAL`). Close one first.',
  },
  rate_limited: {
    status: 429,
    meaning: 'This was asked for too often. Try again after `Retry-After`.',
  },
  headers_too_large: { status: 431, meaning: 'The headers are larger than `MAX_HEADER_BYTES`.' },
  internal_error: {
    status: 500,
    meaning: 'A fault of this server. The log holds it under the `X-Request-Id` of the reply.',
  },
  unavailable: {
    status: 503,
    meaning:
      'This server is stopping, or something that it needs cannot be reached. Try again after `Retry-After`.',
  },
};

/** Every request error code, for the generated error reference. */
export const requestErrorCodes: readonly RequestErrorCode[] = Object.keys(
  requestErrors,
) as RequestErrorCode[];

/** What a request error code means, for the generated error reference. */
export function describeRequestError(code: RequestErrorCode): string {
  return requestErrors[code].meaning;
}

/** The HTTP status of a request error code. */
export function toHttpStatus(code: RequestErrorCode): number {
  return requestErrors[code].status;
}

/** What an error says beyond its message. */
export interface RequestErrorOptions {
  /** Response headers that belong to this failure, e.g. `WWW-Authenticate`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How the credential has to come, for the challenge of a 401. Default `Bearer`. */
  readonly scheme?: 'Bearer' | 'DPoP';
  /** What a new token must carry, for the challenge of `insufficient_scope`. */
  readonly scopes?: readonly string[];
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
  readonly scheme: 'Bearer' | 'DPoP';
  readonly scopes: readonly string[];
  readonly detail: string | undefined;

  constructor(code: RequestErrorCode, message: string, options: RequestErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.status = requestErrors[code].status;
    this.headers = options.headers ?? {};
    this.scheme = options.scheme ?? 'Bearer';
    this.scopes = options.scopes ?? [];
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

/** What each of them means, for the generated error reference. */
export const protocolErrorMeanings: Readonly<Record<keyof typeof protocolErrorCodes, string>> = {
  parseError: 'The body is not JSON.',
  invalidRequest: 'The body is JSON but not a JSON-RPC message that this revision takes.',
  methodNotFound: 'There is no such method, or this server does not offer it.',
  invalidParams:
    'The parameters do not fit the method, or name a tool, prompt or resource that does not exist. `data.reason` tells of a `requestState`: `invalid_request_state` (altered, expired, of another request) or `request_state_used` (it is good for one run, which another request had).',
  internalError: 'A fault of this server. The log holds it under the `X-Request-Id` of the reply.',
  resourceNotFound: 'There is no such resource (2025-11-25 and earlier).',
  headerMismatch: 'A header is missing, or says otherwise than the body that it mirrors.',
  missingRequiredClientCapability:
    'Answering needs a capability that the client did not declare; `data` names it.',
  unsupportedProtocolVersion: 'The protocol version is not served here; `data` lists those that are.',
};

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

  constructor(
    upstream: string,
    message: string,
    options: { cause?: unknown; retryAfterSeconds?: number } = {},
  ) {
    super(message, { cause: options.cause });
    this.upstream = upstream;
    this.retryAfterSeconds = options.retryAfterSeconds ?? 1;
  }
}
