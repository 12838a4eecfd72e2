/**
 * Enterprise-managed authorization: the company's identity provider says, in an assertion made for one client and this
 * server, what its user lets that client do. No browser, no consent page, no refresh token.
 *
 * @see MCP extension io.modelcontextprotocol/enterprise-managed-authorization; Identity Assertion JWT Authorization Grant
 *   (draft-ietf-oauth-identity-assertion-authz-grant-04), sections 4.4 and 5
 */
import { createHash, randomUUID } from 'node:crypto';
import { type TokenVerifier, toUserIssuer, type VerifiedToken } from '../../auth/issuers/token-verifier.ts';
import type { OauthStore } from '../../auth/oauth-store.ts';
import { intersectScopes } from '../../auth/scope-cover.ts';
import { signAccessToken } from '../../auth/tokens/access-token.ts';
import { resolveMember } from '../../auth/tokens/memberships.ts';
import type { SigningKeys } from '../../auth/tokens/signing-keys.ts';
import type { IssuedToken } from '../../auth/tokens/token-service.ts';
import type { UserStore } from '../../auth/users/user-store.ts';
import { RequestError } from '../../errors.ts';
import { toCanonicalResource } from '../resource-uris.ts';

/** `grant_type`. RFC 7523, section 2.1. */
export const jwtBearerGrant = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
/** What the metadata call it. */
export const identityAssertionProfile = 'urn:ietf:params:oauth:grant-profile:id-jag';

const assertionType = 'oauth-id-jag+jwt';
const model = 'IdentityAssertion';
const maxLifetimeSeconds = 3600;
const maxIdLength = 256;
/** As the verifier's clock may be behind. */
const toleranceMs = 60_000;

/** What a client presents, having proven who it is. */
export interface IdentityAssertion {
  readonly assertion: string;
  readonly clientId: string;
  /** What was asked for; none: what the assertion says. */
  readonly scopes: readonly string[];
  /** Thumbprint of a key that was proven: the token is bound to it. */
  readonly keyThumbprint?: string;
}

/** What the grant stands on. */
export interface IdentityAssertionOptions {
  /** Issuers that are trusted for `id-jag`. */
  readonly verifier: Pick<TokenVerifier, 'verify'>;
  readonly issuer: string;
  /** Canonical URI of the MCP endpoint. */
  readonly resource: string;
  /** Remembers which assertions were used: each is good for one token. */
  readonly store: Pick<OauthStore, 'insert'>;
  readonly users: UserStore;
  readonly keys: SigningKeys;
  /** Every scope of the server. */
  readonly scopes: ReadonlyMap<string, string | undefined>;
  readonly baseScopes: readonly string[];
  readonly accessTokenTtlSeconds: number;
  readonly now: () => number;
}

/**
 * Redeems an assertion.
 *
 * @throws RequestError `invalid_token` for one that does not hold, or was used before; `forbidden` for a user who has no
 *   active membership here, or none of the scopes
 * @throws UpstreamError when the issuer's keys, or a store, cannot be reached
 */
export async function redeemIdentityAssertion(
  { assertion, clientId, scopes, keyThumbprint }: IdentityAssertion,
  options: IdentityAssertionOptions,
): Promise<IssuedToken> {
  const { issuer, resource, users, keys, now } = options;
  const verified = await options.verifier.verify(assertion, 'id-jag', {
    type: assertionType,
    audiences: [issuer],
  });
  const { payload } = verified;
  requireBinding(payload, clientId, resource);
  const member = await resolveMember(users, await users.findByIdentity(toUserIssuer(verified), payload.sub));
  const granted = toScopes(payload, scopes, options);
  const allowed = intersectScopes(granted, member.membership.scopes);
  if (granted.length > 0 && allowed.length === 0)
    throw new RequestError('forbidden', 'This user may do nothing of what was asked for');
  // Last, so that an assertion that gives nothing is not used up by it.
  await requireFirstUse(payload, options);
  const issuedAt = now();
  const accessToken = await signAccessToken(
    {
      subject: member.user.id,
      tokenId: randomUUID(),
      grant: 'authorization_server',
      scopes: allowed,
      tenantId: member.membership.tenantId,
      role: member.membership.role,
      issuedAt,
      expiresAt: issuedAt + options.accessTokenTtlSeconds * 1000,
      clientId,
      ...(keyThumbprint !== undefined && { keyThumbprint }),
    },
    { issuer, resource, keys },
  );
  return { accessToken, expiresIn: options.accessTokenTtlSeconds, scopes: allowed };
}

/** Made for this client, this server and this resource, and for a short while. */
function requireBinding(payload: VerifiedToken['payload'], clientId: string, resource: string): void {
  const { aud, exp, iat, client_id: named, resource: target } = payload;
  if ([aud].flat().length !== 1) throw toInvalid('for several audiences');
  if (named !== clientId) throw toInvalid('for another client');
  if (typeof target !== 'string' || toCanonicalResource(target, resource) !== resource)
    throw toInvalid('for another resource');
  if (exp - iat > maxLifetimeSeconds) throw toInvalid('lives longer than an hour');
}

function toScopes(
  { scope }: VerifiedToken['payload'],
  requested: readonly string[],
  { scopes, baseScopes }: IdentityAssertionOptions,
): readonly string[] {
  const asserted = typeof scope === 'string' ? scope.split(' ').filter((word) => word !== '') : [];
  // Taken as if it were not there, it would leave to the membership what the company has narrowed.
  if (scope !== undefined && asserted.length === 0) throw toInvalid('scope is no text with scopes in it');
  const wanted = requested.length > 0 ? requested : asserted.length > 0 ? asserted : baseScopes;
  const within = asserted.length > 0 ? intersectScopes(wanted, asserted) : wanted;
  if (wanted.length > 0 && within.length === 0) throw toInvalid('for none of the scopes asked for');
  return within.filter((each) => scopes.has(each));
}

async function requireFirstUse(
  { iss, jti, exp }: VerifiedToken['payload'],
  { store, now }: IdentityAssertionOptions,
): Promise<void> {
  if (typeof jti !== 'string' || jti === '' || jti.length > maxIdLength)
    throw toInvalid('jti is missing or too long');
  const idHash = createHash('sha256').update(`${iss} ${jti}`).digest('hex');
  const isFirst = await store.insert({
    model,
    idHash,
    // There is nothing to keep but that it was here.
    sealedPayload: '',
    expiresAt: Math.max(exp * 1000, now()) + toleranceMs,
  });
  if (!isFirst) throw toInvalid('used before');
}

function toInvalid(detail: string): RequestError {
  return new RequestError('invalid_token', 'The assertion is not valid', { detail });
}
