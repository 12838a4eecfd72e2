/**
 * Refuses requests that a web page of another origin makes, and lets the pages of allowed origins read our replies.
 * Requests without `Origin` come from programs and are none of its business.
 */
import { RequestError } from '../../errors.ts';
import { toHeader } from '../messages.ts';
import type { Stage } from '../stage.ts';

/** `any`, or each as browsers send it, e.g. `https://app.example.com`; `:*` for any port. */
export type AllowedOrigins = 'any' | readonly string[];

/** Reply headers that a page may read beyond the few it always may. */
export const exposedHeaders =
  'WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version, DPoP-Nonce, Retry-After, X-Request-Id';

const withoutOrigin: readonly string[] = ['Vary', 'Origin'];

/**
 * @see MCP 2026-07-28, Transports, Streamable HTTP, Security Warning: an invalid `Origin` MUST be answered 403
 */
export function createOriginStage(allowedOrigins: AllowedOrigins): Stage {
  const isAllowed = toOriginCheck(allowedOrigins);
  return (exchange) => {
    const cors = exchange.entry?.cors ?? false;
    const hasCors = cors !== false;
    const origin = toHeader(exchange.headers, 'origin');
    if (origin === undefined) {
      if (hasCors) exchange.corsHeaders = withoutOrigin;
      return undefined;
    }
    if (!(cors === 'any' ? isOrigin(origin) : isAllowed(origin))) {
      throw new RequestError('origin_not_allowed', 'This server does not answer web pages of this origin.', {
        detail: `Origin ${JSON.stringify(origin.slice(0, maxLoggedLength))}; add it to ALLOWED_ORIGINS if it is wanted`,
      });
    }
    if (hasCors) {
      exchange.corsHeaders = [
        'Access-Control-Allow-Origin',
        origin,
        'Access-Control-Expose-Headers',
        exposedHeaders,
        'Vary',
        'Origin',
      ];
    }
    return undefined;
  };
}

const maxLoggedLength = 255;

function toOriginCheck(allowedOrigins: AllowedOrigins): (origin: string) => boolean {
  if (allowedOrigins === 'any') return isOrigin;
  const exact = new Set<string>();
  const anyPort = new Set<string>();
  for (const origin of allowedOrigins) {
    const normal = origin.toLowerCase();
    if (normal.endsWith(':*')) anyPort.add(normal.slice(0, -2));
    else exact.add(normal);
  }
  return (origin) => {
    if (exact.has(origin)) return true;
    const normal = origin.toLowerCase();
    return exact.has(normal) || anyPort.has(normal.replace(/:\d{1,5}$/, ''));
  };
}

/** Also `null`, which sandboxed pages send. Anything else is not reflected into a reply. */
function isOrigin(origin: string): boolean {
  return origin === 'null' || /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@]{1,255}$/i.test(origin);
}
