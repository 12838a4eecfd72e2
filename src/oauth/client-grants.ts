/** What clients get without a person at a browser: tokens for themselves, and for users whom another issuer vouches for. */
import type { errors as Errors, KoaContextWithOIDC, Provider } from 'oidc-provider';
import type { Presentation } from '../auth/authenticator.ts';
import type { ServiceClient } from '../auth/clients/service-client-store.ts';
import type { ProofCheck } from '../auth/dpop/dpop-proof.ts';
import { intersectScopes } from '../auth/scope-cover.ts';
import { RequestError, UpstreamError } from '../errors.ts';
import {
  type IdentityAssertionOptions,
  jwtBearerGrant,
  redeemIdentityAssertion,
} from './grants/identity-assertion-grant.ts';
import type { TokenSubject } from './provider-configuration.ts';

/** What the grant of identity assertions depends on. */
export interface AssertionGrantOptions {
  readonly errors: typeof Errors;
  /** Absent where no issuer is trusted for such assertions. */
  readonly assertions: IdentityAssertionOptions | undefined;
  readonly checkProof: ProofCheck;
  /** `POST /oauth/token`, as clients know it. */
  readonly tokenUrl: string;
  readonly resource: string;
}

/** A request for a token, as a proof that came with it has to describe it. */
export function toTokenPresentation(tokenUrl: string, proof: string): Presentation {
  return { scheme: 'DPoP', proof, method: 'POST', url: tokenUrl };
}

/** They ask for nothing of the server. */
const openidScopes = new Set(['openid', 'offline_access']);

/**
 * What the token of a service client says.
 *
 * @param requested none: everything that the client may have
 * @throws RequestError `forbidden` when it may have none of the scopes asked for
 */
export function toServiceSubject(
  { scopes, tenantId, role }: ServiceClient,
  requested: readonly string[],
  known: ReadonlyMap<string, string | undefined>,
): TokenSubject {
  const asked = requested.filter((scope) => !openidScopes.has(scope));
  const wanted = asked.length === 0 ? [...known.keys()] : asked.filter((scope) => known.has(scope));
  const granted = intersectScopes(wanted, scopes);
  if (asked.length > 0 && wanted.length > 0 && granted.length === 0)
    throw new RequestError('forbidden', 'This client may do nothing of what was asked for');
  return { scopes: granted, claims: { tenant: tenantId, role, gty: 'authorization_server' } };
}

/** Adds the grant to the engine, which finds out who the client is before it is asked. RFC 7523, section 2.1. */
export function addAssertionGrant(provider: Provider, options: AssertionGrantOptions): void {
  const answer = async (ctx: KoaContextWithOIDC): Promise<void> => {
    ctx.body = await redeem(ctx, options);
  };
  provider.registerGrantType(
    jwtBearerGrant,
    async (ctx) => {
      await answer(ctx).catch((error: unknown) => {
        throw toEngineError(error, options.errors);
      });
    },
    ['assertion', 'scope', 'resource'],
    ['resource'],
  );
}

async function redeem(
  ctx: KoaContextWithOIDC,
  { errors, assertions, checkProof, tokenUrl, resource }: AssertionGrantOptions,
): Promise<object> {
  const { client, params = {} } = ctx.oidc;
  if (assertions === undefined) throw new errors.UnsupportedGrantType();
  if (client === undefined || client.tokenEndpointAuthMethod === 'none')
    throw new errors.UnauthorizedClient('a client has to prove who it is for this grant');
  const { assertion, scope, resource: target } = params;
  if (typeof assertion !== 'string')
    throw new errors.InvalidRequest("missing required parameter 'assertion'");
  if ([target ?? resource].flat().some((each) => each !== resource))
    throw new errors.InvalidTarget('this server protects another resource');
  const proof = ctx.get('DPoP');
  if (proof === '' && client['dpopBoundAccessTokens'] === true)
    throw new errors.InvalidRequest(
      'this client asked for tokens that are bound to a key: a DPoP proof is missing',
    );
  const keyThumbprint =
    proof === '' ? undefined : await checkProof({ presentation: toTokenPresentation(tokenUrl, proof) });
  const issued = await redeemIdentityAssertion(
    {
      assertion,
      clientId: client.clientId,
      scopes: typeof scope === 'string' ? scope.split(' ').filter((word) => word !== '') : [],
      ...(keyThumbprint !== undefined && { keyThumbprint }),
    },
    assertions,
  );
  return {
    access_token: issued.accessToken,
    token_type: keyThumbprint === undefined ? 'Bearer' : 'DPoP',
    expires_in: issued.expiresIn,
    scope: issued.scopes.join(' '),
  };
}

/** RFC 6749, section 5.2; RFC 7523, section 3.1: an assertion that does not hold is an invalid grant. */
function toEngineError(error: unknown, errors: typeof Errors): unknown {
  if (error instanceof UpstreamError) {
    const unavailable = new errors.TemporarilyUnavailable(
      'something that is needed to judge this is out of reach',
    );
    return Object.assign(unavailable, { status: 503, statusCode: 503 });
  }
  if (!(error instanceof RequestError)) return error;
  if (error.code === 'invalid_dpop_proof') return new errors.InvalidDpopProof(error.message);
  return new errors.InvalidGrant(error.message);
}
