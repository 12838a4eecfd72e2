/** The only place that turns errors into replies. */
import {
  ProtocolError,
  RequestError,
  type RequestErrorCode,
  toHttpStatus,
  UpstreamError,
} from '../errors.ts';
import type { EdgeLogger } from './edge-logger.ts';
import type { FullReply, LogFields, ReplyHeaders } from './messages.ts';

/** Turns anything thrown into a reply, and tells the log what the caller is not told. Never throws. */
export type ErrorRenderer = (error: unknown, requestId: string) => FullReply;

/** What rendering depends on. */
export interface ErrorRendererOptions {
  readonly logger: EdgeLogger;
  /** Absolute; named in the challenge of every 401. */
  readonly resourceMetadataUrl: string;
  /** The least that makes the server usable, for who has no token yet. Default: none is named. */
  readonly baseScopes?: readonly string[];
  /** Signatures that proofs may have, for challenges of the DPoP scheme. Default: none is named. */
  readonly dpopAlgorithms?: readonly string[];
}

/**
 * Makes the renderer.
 *
 * A 4xx goes into the request's own log line; what is ours or an upstream's gets a line of its own, with its cause.
 */
export function createErrorRenderer(options: ErrorRendererOptions): ErrorRenderer {
  const { logger } = options;
  const { baseScopes = [], dpopAlgorithms = [] } = options;
  // MCP 2026-07-28, Authorization, Protected Resource Metadata Discovery Requirements: SHOULD name the scopes.
  const scope = baseScopes.length === 0 ? '' : `scope="${baseScopes.join(' ')}", `;
  const rest = `${scope}resource_metadata="${options.resourceMetadataUrl}"`;
  // RFC 9449, section 7.1.
  const proofRest = `algs="${dpopAlgorithms.join(' ')}", ${rest}`;

  return (error, requestId) => {
    if (error instanceof RequestError) return renderRequestError(error, requestId);
    if (error instanceof ProtocolError) return renderProtocolError(error);
    if (error instanceof UpstreamError) {
      logger.error('upstream.failed', { upstream: error.upstream, requestId }, error);
      const headers = { 'Retry-After': String(error.retryAfterSeconds) };
      return toErrorReply('unavailable', 'Something this server needs is unavailable. Try again shortly.', {
        requestId,
        headers,
        log: { error: 'unavailable', upstream: error.upstream },
      });
    }
    logger.error('request.failed', { requestId }, error);
    return toErrorReply('internal_error', 'Internal error', { requestId, log: { error: 'internal_error' } });
  };

  function renderRequestError(error: RequestError, requestId: string): FullReply {
    const { code, message, detail } = error;
    if (error.status >= 500) logger.error('request.failed', { requestId, detail }, error);
    const challenge = toChallenge(error);
    const headers =
      challenge === undefined || error.headers['WWW-Authenticate']
        ? error.headers
        : { ...error.headers, 'WWW-Authenticate': challenge };
    return toErrorReply(code, message, { requestId, headers, log: { error: code, detail } });
  }

  /** RFC 9110, section 15.5.2: a 401 carries a challenge. RFC 6750, section 3.1: so does a 403 for want of a scope. */
  function toChallenge({ code, scheme, scopes }: RequestError): string | undefined {
    switch (code) {
      case 'authentication_required':
        // RFC 6750, section 3.1: a request without credentials is not told an error code.
        return `Bearer ${rest}`;
      case 'invalid_token':
        return scheme === 'DPoP'
          ? `DPoP error="invalid_token", ${proofRest}`
          : `Bearer error="invalid_token", ${rest}`;
      case 'invalid_dpop_proof':
        return `DPoP error="invalid_dpop_proof", ${proofRest}`;
      case 'insufficient_scope':
        return (
          `Bearer error="insufficient_scope", scope="${scopes.join(' ')}", ` +
          `resource_metadata="${options.resourceMetadataUrl}"`
        );
      default:
        return undefined;
    }
  }
}

/** A JSON-RPC error whose request is not known here, so that it has no id. */
function renderProtocolError(error: ProtocolError): FullReply {
  return {
    kind: 'full',
    status: 400,
    headers: jsonHeaders,
    body: JSON.stringify({
      jsonrpc: '2.0',
      error: { code: error.code, message: error.message, data: error.data },
    }),
    log: { error: 'protocol_error', rpcCode: error.code },
  };
}

const jsonHeaders: ReplyHeaders = { 'Content-Type': 'application/json' };

/**
 * A JSON-RPC error response without an id. Its code is the HTTP status: JSON-RPC leaves codes outside -32768 to -32000
 * to applications, and MCP 2026-07-28 keeps -32000 to -32099 for itself (Base Protocol, Error Codes).
 */
function toErrorReply(
  code: RequestErrorCode,
  message: string,
  { requestId, headers, log }: { requestId: string; headers?: ReplyHeaders; log: LogFields },
): FullReply {
  const status = toHttpStatus(code);
  return {
    kind: 'full',
    status,
    headers: headers ? { ...jsonHeaders, ...headers } : jsonHeaders,
    body: JSON.stringify({ jsonrpc: '2.0', error: { code: status, message, data: { code, requestId } } }),
    log,
  };
}
