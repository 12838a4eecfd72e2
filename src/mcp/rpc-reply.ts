import { ProtocolError, protocolErrorCodes, RequestError, UpstreamError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import { HandlerFailure } from './handler-failure.ts';
import { renderError } from './json-rpc.ts';
import type { JsonRpcId } from './protocol-types.ts';

/** A JSON-RPC response and the HTTP status that carries it when it is the whole answer. */
export interface RpcReply {
  readonly status: number;
  readonly text: string;
  /** That belong to a failure, e.g. `WWW-Authenticate`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Which JSON-RPC errors the modern era also tells in the HTTP status.
 *
 * @see MCP 2026-07-28, Streamable HTTP, Protocol Version Header and Server Validation; Base Protocol, `_meta`
 */
const modernStatus: ReadonlyMap<number, number> = new Map([
  [protocolErrorCodes.parseError, 400],
  [protocolErrorCodes.invalidRequest, 400],
  [protocolErrorCodes.methodNotFound, 404],
  [protocolErrorCodes.headerMismatch, 400],
  [protocolErrorCodes.missingRequiredClientCapability, 400],
  [protocolErrorCodes.unsupportedProtocolVersion, 400],
]);

/** What a failure is reported with. */
export interface FailureContext {
  readonly era: 'modern' | 'legacy';
  readonly requestId: string;
  readonly logger: Logger;
}

/**
 * Turns what a request failed with into its JSON-RPC error. Failures of ours are logged here and told without their
 * text.
 */
export function toErrorReply(id: JsonRpcId | undefined, error: unknown, context: FailureContext): RpcReply {
  if (error instanceof ProtocolError) {
    const status = context.era === 'modern' ? (modernStatus.get(error.code) ?? 200) : 200;
    return { status, text: renderError(id, error) };
  }
  if (error instanceof RequestError) {
    // Told in HTTP while the answer is undecided, e.g. a scope challenge; the JSON-RPC code is the status.
    const { status, headers, message, code } = error;
    return { status, headers, text: renderError(id, { code: status, message, data: { code } }) };
  }
  const { requestId, logger } = context;
  const what = error instanceof HandlerFailure ? error.what : 'request';
  logger.error(
    'mcp.request_failed',
    { requestId, what },
    error instanceof HandlerFailure ? error.cause : error,
  );
  const message =
    error instanceof UpstreamError
      ? 'A service that this server needs is unavailable; try again'
      : `Internal error (request ${requestId})`;
  return { status: 200, text: renderError(id, { code: protocolErrorCodes.internalError, message }) };
}
