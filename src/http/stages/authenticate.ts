/** Turns the bearer token into a principal. What a principal may do is not decided here. */
import type { Authenticator } from '../../auth/authenticator.ts';
import type { Principal } from '../../auth/principal.ts';
import { RequestError } from '../../errors.ts';
import type { Stage } from '../stage.ts';

const message = 'Authentication required: provide a valid MCP API key or access token';

/**
 * Requires a valid token on routes whose row says so. Every other way of sending credentials counts as none at all.
 *
 * @see RFC 6750, sections 2.1 and 3.1; MCP 2026-07-28, Authorization, Access Token Usage
 */
export function createAuthenticateStage(authenticator: Pick<Authenticator, 'authenticate'>): Stage {
  return (exchange) => {
    if (exchange.route?.auth !== 'principal') return undefined;
    const token = parseBearerToken(exchange.headers['authorization']);
    if (token === undefined) throw new RequestError('authentication_required', message);
    let outcome: Principal | Promise<Principal>;
    try {
      outcome = authenticator.authenticate(token);
    } catch (error) {
      throw toRefusal(error);
    }
    if (outcome instanceof Promise) {
      return outcome.then(
        (principal) => {
          exchange.principal = principal;
          return undefined;
        },
        (error: unknown) => {
          throw toRefusal(error);
        },
      );
    }
    exchange.principal = outcome;
    return undefined;
  };
}

/**
 * The token of an `Authorization` header; `undefined` for none, for an empty one and for another scheme, which RFC
 * 6750, section 3.1, treats alike.
 */
export function parseBearerToken(header: string | string[] | undefined): string | undefined {
  if (typeof header !== 'string') return undefined;
  if (!header.startsWith('Bearer ') && !/^bearer /i.test(header)) return undefined;
  return header.slice('Bearer '.length).trim() || undefined;
}

/** Why a token was refused is for the log: the caller is told the same for each reason. */
function toRefusal(error: unknown): unknown {
  if (!(error instanceof RequestError) || error.code !== 'invalid_token') return error;
  return new RequestError('invalid_token', message, {
    headers: error.headers,
    detail: error.detail ?? error.message,
    cause: error,
  });
}
