import type { TrustedIssuer } from '../../config/trusted-issuers.ts';
import { RequestError } from '../../errors.ts';
import type { Principal, TokenOrigin } from '../principal.ts';
import { intersectScopes } from '../scope-cover.ts';
import { resolveMember } from '../tokens/memberships.ts';
import type { UserStore } from '../users/user-store.ts';
import { ownIssuerName } from './own-issuer.ts';
import { toUserIssuer, type VerifiedToken } from './token-verifier.ts';

const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/;
const tenantId = /^[A-Za-z0-9._:-]{1,128}$/;
const maxScopes = 200;
const maxNameLength = 512;

/** Whom a token stands for. */
export interface TokenPrincipalOptions {
  /** For issuers whose tenants are memberships here. */
  readonly users: UserStore | undefined;
  /** SHA-256 of the token: names it when it has no `jti`. */
  readonly hash: string;
}

/**
 * The principal of a verified access token, frozen.
 *
 * @throws RequestError `forbidden` (403) when it belongs to no tenant, or its user is not an active member of one
 */
export async function toTokenPrincipal(
  verified: VerifiedToken,
  { users, hash }: TokenPrincipalOptions,
): Promise<Principal> {
  const { issuer, payload } = verified;
  const clientId = findText(payload, issuer.clientIdClaims);
  const scopes = toScopes(payload, issuer);
  const standing =
    issuer.tenant.kind === 'membership'
      ? await toMembershipStanding(verified, scopes, users)
      : { tenantId: toTenantId(payload, issuer), role: toRole(payload, issuer), scopes };
  const tokenId = findText(payload, ['jti']);
  return Object.freeze({
    kind: clientId === payload.sub ? 'service' : 'user',
    subject: toSubject(issuer, payload.sub),
    credentialId: tokenId ?? hash,
    tenantIds: Object.freeze([standing.tenantId]),
    activeTenantId: standing.tenantId,
    role: standing.role,
    scopes: Object.freeze([...standing.scopes]),
    expiresAt: payload.exp * 1000,
    token: toOrigin(verified, { tokenId, clientId }),
  });
}

interface Standing {
  readonly tenantId: string;
  readonly role: string;
  readonly scopes: readonly string[];
}

async function toMembershipStanding(
  verified: VerifiedToken,
  scopes: readonly string[],
  users: UserStore | undefined,
): Promise<Standing> {
  if (users === undefined) throw toForbidden('no table of users');
  const user = await users.findByIdentity(toUserIssuer(verified), verified.payload.sub);
  const { membership } = await resolveMember(users, user);
  return {
    tenantId: membership.tenantId,
    role: membership.role,
    scopes: intersectScopes(scopes, membership.scopes),
  };
}

/** The same `sub` of two issuers is two people. */
function toSubject({ name }: TrustedIssuer, sub: string): string {
  return name === ownIssuerName ? sub : `${name}|${sub}`;
}

function toTenantId(payload: VerifiedToken['payload'], { tenant }: TrustedIssuer): string {
  if (tenant.kind === 'fixed') return tenant.tenantId;
  const value = tenant.kind === 'claim' ? payload[tenant.claim] : undefined;
  if (typeof value !== 'string' || !tenantId.test(value)) throw toForbidden('the token names no tenant');
  return value;
}

function toRole(payload: VerifiedToken['payload'], { roleClaim, role }: TrustedIssuer): string {
  if (roleClaim === undefined) return role;
  const value = payload[roleClaim];
  return typeof value === 'string' && value !== '' && value.length <= 64 ? value : role;
}

/** Text with spaces or an array, of every claim that the issuer uses. `*` is for us to give, not for an issuer to say. */
function toScopes(payload: VerifiedToken['payload'], issuer: TrustedIssuer): readonly string[] {
  const isOwn = issuer.name === ownIssuerName;
  const named = issuer.scopeClaims.flatMap((claim) => {
    const value = payload[claim];
    return typeof value === 'string' ? value.split(' ') : Array.isArray(value) ? (value as unknown[]) : [];
  });
  const usable = named.filter(
    (scope): scope is string =>
      typeof scope === 'string' && scopeToken.test(scope) && (isOwn || scope !== '*'),
  );
  return [...new Set([...issuer.scopes, ...usable])].slice(0, maxScopes);
}

function toOrigin(
  { payload }: VerifiedToken,
  { tokenId, clientId }: { readonly tokenId: string | undefined; readonly clientId: string | undefined },
): TokenOrigin {
  const sessionId = findText(payload, ['sid']);
  const grantId = findText(payload, ['gid']);
  const jkt = toKeyThumbprint(payload['cnf']);
  return Object.freeze({
    issuer: payload.iss,
    issuedAt: payload.iat * 1000,
    ...(tokenId !== undefined && { tokenId }),
    ...(sessionId !== undefined && { sessionId }),
    ...(grantId !== undefined && { grantId }),
    ...(clientId !== undefined && { clientId }),
    ...(jkt !== undefined && { jkt }),
  });
}

/** RFC 7800: a token that is bound in a way that we cannot check is refused, not taken as if it were not. */
function toKeyThumbprint(confirmation: unknown): string | undefined {
  if (confirmation === undefined) return undefined;
  const jkt = (confirmation as { readonly jkt?: unknown } | null)?.jkt;
  if (typeof jkt === 'string' && /^[A-Za-z0-9_-]{43}$/.test(jkt)) return jkt;
  throw new RequestError('invalid_token', 'The token is not valid', { detail: 'cnf cannot be checked' });
}

function findText(payload: VerifiedToken['payload'], claims: readonly string[]): string | undefined {
  for (const claim of claims) {
    const value = payload[claim];
    if (typeof value === 'string' && value !== '' && value.length <= maxNameLength) return value;
  }
  return undefined;
}

function toForbidden(detail: string): RequestError {
  return new RequestError('forbidden', 'This token belongs to no tenant of this server', { detail });
}
