/** Turns the bearer token into a principal. What a principal may do is not decided here. */
import type { Authenticator, Presentation } from '../../auth/authenticator.ts';
import type { Principal } from '../../auth/principal.ts';
import { RequestError } from '../../errors.ts';
import type { HttpExchange } from '../http-exchange.ts';
import type { Stage } from '../stage.ts';

const message = 'Authentication required: provide a valid MCP API key or access token';

/**
 * Requires a valid token on routes whose row says so. Every other way of sending credentials counts as none at all.
 *
 * @param publicUrl where clients reach this server: what a proof of possession has to name
 * @see RFC 6750, sections 2.1 and 3.1; RFC 9449, section 7.1; MCP 2026-07-28, Authorization, Access Token Usage
 */
export function createAuthenticateStage(
  authenticator: Pick<Authenticator, 'authenticate'>,
  publicUrl: string,
): Stage {
  return (exchange) => {
    if (exchange.route?.auth !== 'principal') return undefined;
    const credential = parseCredential(exchange.headers['authorization']);
    if (credential === undefined) throw new RequestError('authentication_required', message);
    const { scheme, token } = credential;
    let outcome: Principal | Promise<Principal>;
    try {
      outcome = authenticator.authenticate(token, toPresentation(exchange, scheme, publicUrl));
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

interface Credential {
  readonly scheme: Presentation['scheme'];
  readonly token: string;
}

/**
 * The token of an `Authorization` header; `undefined` for none, for an empty one and for another scheme, which RFC
 * 6750, section 3.1, treats alike.
 */
function parseCredential(header: string | string[] | undefined): Credential | undefined {
  if (typeof header !== 'string') return undefined;
  const scheme =
    header.startsWith('Bearer ') || /^bearer /i.test(header)
      ? 'Bearer'
      : /^dpop /i.test(header)
        ? 'DPoP'
        : undefined;
  if (scheme === undefined) return undefined;
  const token = header.slice(scheme.length + 1).trim();
  return token === '' ? undefined : { scheme, token };
}

function toPresentation(
  exchange: HttpExchange,
  scheme: Presentation['scheme'],
  publicUrl: string,
): Presentation {
  const { method, path } = exchange;
  // Joined when it came twice, which is then no proof.
  const proof = scheme === 'DPoP' ? exchange.headers['dpop']?.toString() : undefined;
  return { scheme, method, url: publicUrl + path, ...(proof !== undefined && { proof }) };
}

/** Why a token was refused is for the log: the caller is told the same for each reason. */
function toRefusal(error: unknown): unknown {
  if (!(error instanceof RequestError) || error.code !== 'invalid_token') return error;
  return new RequestError('invalid_token', message, {
    headers: error.headers,
    scheme: error.scheme,
    detail: error.detail ?? error.message,
    cause: error,
  });
}
