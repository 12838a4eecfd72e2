/**
 * Refuses requests for a host that is not ours: a page whose name was rebound to this machine's address sends its own
 * name. It does not tell which client asks; that is authentication's work.
 */
import { RequestError } from '../../errors.ts';
import type { Stage } from '../stage.ts';

/** `any`, or each `name` (with any port) or `name:port`. IPv6 in brackets. */
export type AllowedHosts = 'any' | readonly string[];

/**
 * @see MCP 2026-07-28, Transports, Streamable HTTP, Security Warning
 */
export function createHostStage(allowedHosts: AllowedHosts): Stage {
  if (allowedHosts === 'any') return () => undefined;
  const allowed = new Set(allowedHosts.map((host) => host.toLowerCase()));
  // Nearly every request asks for the host of the one before.
  let lastAllowed: string | undefined;
  return (exchange) => {
    const { host, entry } = exchange;
    if (host !== undefined && (host === lastAllowed || isAllowed(host.toLowerCase(), allowed))) {
      lastAllowed = host;
      return undefined;
    }
    if (entry?.host === 'any') return undefined;
    throw new RequestError('host_not_allowed', 'This server does not answer for the host of this request.', {
      detail: `Host ${JSON.stringify(host?.slice(0, maxLoggedLength) ?? '')}; add it to ALLOWED_HOSTS if it is ours`,
    });
  };
}

const maxLoggedLength = 255;

function isAllowed(host: string, allowed: ReadonlySet<string>): boolean {
  if (allowed.has(host)) return true;
  const colon = host.lastIndexOf(':');
  const hasPort = colon > 0 && colon > host.lastIndexOf(']');
  return hasPort && isPort(host.slice(colon + 1)) && allowed.has(host.slice(0, colon));
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text);
}
