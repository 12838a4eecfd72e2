import type { FullReply } from '../messages.ts';
import { toHeader } from '../messages.ts';
import type { Stage } from '../stage.ts';

const requestHeaders =
  'Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Session-Id, Mcp-Method, Mcp-Name, Last-Event-ID, DPoP, X-Request-Id';
/** Two hours: the longest that browsers agree on. */
const maxAgeSeconds = 7200;
const maxReflectedHeaders = 64;
const parameterHeader = /^mcp-param-[!#$%&'*+.^_`|~0-9a-z-]{1,128}$/i;

/**
 * Answers `OPTIONS` for paths with CORS, before authentication: a browser sends no credentials with it.
 *
 * @see Fetch, CORS-preflight fetch; MCP 2026-07-28, Transports, for `Mcp-Param-*`, whose names the server's tools choose
 */
export const answerPreflight: Stage = (exchange) => {
  const { method, entry, headers } = exchange;
  if (method !== 'OPTIONS' || !entry?.cors) return undefined;
  if (headers['origin'] === undefined || headers['access-control-request-method'] === undefined) {
    return toEmptyReply({ Allow: entry.allow });
  }
  // Replaces the shorter `Vary` of other replies.
  exchange.corsHeaders = exchange.corsHeaders.slice(0, 2);
  return toEmptyReply({
    'Access-Control-Allow-Methods': entry.allow,
    'Access-Control-Allow-Headers':
      requestHeaders + toReflected(toHeader(headers, 'access-control-request-headers')),
    'Access-Control-Max-Age': String(maxAgeSeconds),
    Vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
  });
};

function toEmptyReply(headers: Record<string, string>): FullReply {
  return { kind: 'full', status: 204, headers, body: '' };
}

function toReflected(requested: string | undefined): string {
  if (!requested) return '';
  const names = requested.split(',', maxReflectedHeaders).map((name) => name.trim());
  return names
    .filter((name) => parameterHeader.test(name))
    .map((name) => `, ${name}`)
    .join('');
}
