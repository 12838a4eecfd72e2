/**
 * Access tokens for people whom a trusted issuer has signed in, and their successors.
 *
 * A token that may be refreshed for days after its end is nearly a refresh token. What bounds that: only tokens of this
 * service are taken; each has one successor; presenting an old one again, but for a moment in which clients race with
 * themselves, ends the whole family; a family ends with its sign-in's age; memberships are read anew each time.
 *
 * Who asks too often is refused once it is known who asks: before that nothing is read or written for them.
 */
import { randomUUID } from 'node:crypto';
import { compactVerify, decodeProtectedHeader } from 'jose';
import { RequestError } from '../../errors.ts';
import type { RevocationKind } from '../revocation/revocation-store.ts';
import { intersectScopes } from '../scope-cover.ts';
import type { UserStore } from '../users/user-store.ts';
import {
  type AccessTokenParties,
  accessTokenType,
  signAccessToken,
  tokenServiceClientId,
  type AccessTokenClaims,
} from './access-token.ts';
import type { IdentityVerifier } from './identity-verifier.ts';
import { type ActiveMember, resolveMember } from './memberships.ts';
import { signingAlgorithm, type SigningKeys } from './signing-keys.ts';
import type { TokenFamily, TokenFamilyStore } from './token-family-store.ts';

/** How long after its end a token may still be exchanged for a successor: 7 days. */
export const refreshWindowMs: number = 7 * 24 * 3600_000;
/** How long after a succession the predecessor may come again: two requests of one client that raced. */
export const successionGraceMs = 60_000;
const maxTokenLength = 8192;

/** A token, just made. */
export interface IssuedToken {
  readonly accessToken: string;
  /** Seconds. */
  readonly expiresIn: number;
  readonly scopes: readonly string[];
}

/** What a subject asks for. */
export interface ExchangeRequest {
  /** An ID token of a trusted issuer. */
  readonly subjectToken: string;
  /** Name or URL of the issuer it must be of. Default: any that is trusted for identity tokens. */
  readonly issuer?: string;
  /** Default: the tenant that the user joined first. */
  readonly tenantId?: string;
  /** Default: everything the membership allows. */
  readonly scopes?: readonly string[];
  readonly clientId?: string;
  /**
   * Checks the proof of a key that came along, and tells its thumbprint: the token is bound to it, and is not refreshed
   * here. Asked once it is known that the subject token holds: what remembers proofs is not for strangers to fill.
   */
  readonly checkProof?: () => Promise<string>;
}

/** Exchanges and refreshes tokens. */
export interface TokenService {
  /**
   * @throws RequestError `invalid_token` (401) for an ID token that does not verify; `forbidden` (403) for a user
   *   without an active membership, or without any of the scopes asked for; `rate_limited` (429)
   * @throws UpstreamError when the issuer's keys, or a store, cannot be reached
   */
  exchange(request: ExchangeRequest): Promise<IssuedToken>;
  /**
   * @param token of this service, valid or ended less than `refreshWindowMs` ago
   * @throws RequestError `invalid_token` (401) for any other, and for one whose family has ended; `forbidden` (403) when
   *   the membership is no longer active; `rate_limited` (429)
   */
  refresh(token: string): Promise<IssuedToken>;
}

/** What the service is made of. */
export interface TokenServiceOptions extends AccessTokenParties {
  readonly keys: SigningKeys;
  readonly users: UserStore;
  readonly families: TokenFamilyStore;
  readonly identities: IdentityVerifier;
  /** Ends every token of a family, on every instance. */
  readonly revoke: (kind: RevocationKind, name: string) => Promise<void>;
  /** Whether a family, a user or a tenant was revoked after a token was issued. */
  readonly isRevoked: (claims: AccessTokenClaims) => boolean | Promise<boolean>;
  /**
   * Counts an attempt of a verified caller.
   *
   * @param whose an issuer and its subject, or a family
   * @throws RequestError `rate_limited` (429)
   */
  readonly takeAttempt: (what: 'exchange' | 'refresh', ...whose: string[]) => Promise<void>;
  /** Life of a token. */
  readonly ttlSeconds: number;
  /** Life of a family: after this the user signs in again. */
  readonly maxAgeSeconds: number;
  /** Told of a token that came again after its successor's grace: whoever sent it, or somebody before, has a copy. */
  readonly onReuse: (family: TokenFamily) => void;
  readonly now?: () => number;
  readonly createId?: () => string;
}

/** The service over its stores. */
export function createTokenService(options: TokenServiceOptions): TokenService {
  const { keys, users, families, identities, now = Date.now, createId = randomUUID } = options;
  const ttlMs = options.ttlSeconds * 1000;

  const issue = async (
    { user, membership }: ActiveMember,
    family: TokenFamily,
    { clientId, keyThumbprint }: { readonly clientId?: string; readonly keyThumbprint?: string },
  ): Promise<IssuedToken> => {
    const issuedAt = now();
    const scopes = intersectScopes(family.scopes, membership.scopes);
    if (scopes.length === 0)
      throw new RequestError('forbidden', 'This user may do nothing of what was asked for');
    const expiresAt = Math.min(issuedAt + ttlMs, family.endsAt);
    const accessToken = await signAccessToken(
      {
        subject: user.id,
        tokenId: family.latestId,
        grant: 'token_service',
        scopes,
        tenantId: membership.tenantId,
        role: membership.role,
        issuedAt,
        expiresAt,
        authenticatedAt: family.startedAt,
        sessionId: family.id,
        ...(clientId === undefined ? {} : { clientId }),
        ...(keyThumbprint === undefined ? {} : { keyThumbprint }),
      },
      { issuer: options.issuer, resource: options.resource, keys },
    );
    return { accessToken, expiresIn: Math.floor((expiresAt - issuedAt) / 1000), scopes };
  };

  return {
    exchange: async ({ subjectToken, issuer, tenantId, scopes, clientId, checkProof }) => {
      const identity = await identities.verifyIdentity(subjectToken, issuer);
      await options.takeAttempt('exchange', identity.issuer, identity.subject);
      const user = await users.findByIdentity(identity.issuer, identity.subject);
      const member = await resolveMember(users, user, tenantId);
      const startedAt = Math.min(identity.authenticatedAt ?? now(), now());
      const family: TokenFamily = {
        id: createId(),
        userId: member.user.id,
        tenantId: member.membership.tenantId,
        scopes: scopes ?? member.membership.scopes,
        startedAt,
        endsAt: startedAt + options.maxAgeSeconds * 1000,
        latestId: createId(),
      };
      if (family.endsAt <= now()) throw invalidToken('signed in too long ago');
      const keyThumbprint = await checkProof?.();
      const issued = await issue(member, family, {
        ...(clientId !== undefined && { clientId }),
        ...(keyThumbprint !== undefined && { keyThumbprint }),
      });
      await families.insert(family);
      return issued;
    },
    refresh: async (token) => {
      const presented = await parseOwnToken(token, options, now());
      if (await options.isRevoked(presented.claims)) throw invalidToken('revoked');
      const { subject, tenantId, sessionId, tokenId, clientId } = presented.claims;
      await options.takeAttempt('refresh', sessionId);
      // Before the token is spent: who is refused today may be a member again tomorrow.
      const member = await resolveMember(users, await users.findById(subject), tenantId);
      const succession = await families.succeed(sessionId, {
        fromId: tokenId,
        toId: createId(),
        now: now(),
        graceMs: successionGraceMs,
      });
      if (succession.kind === 'ended') throw invalidToken('its family has ended');
      const { family } = succession;
      if (succession.kind === 'reused') {
        options.onReuse(family);
        await families.revoke(family.id, now());
        await options.revoke('session', family.id);
        throw invalidToken('reused');
      }
      return issue(member, family, clientId === undefined ? {} : { clientId });
    },
  };
}

interface OwnToken {
  readonly claims: AccessTokenClaims & { readonly sessionId: string };
}

/** @throws RequestError `invalid_token` */
async function parseOwnToken(
  token: string,
  { issuer, resource, keys }: TokenServiceOptions,
  now: number,
): Promise<OwnToken> {
  if (token.length > maxTokenLength) throw invalidToken('too long');
  const header = readHeader(token);
  if (header?.alg !== signingAlgorithm || header.typ !== accessTokenType || typeof header.kid !== 'string')
    throw invalidToken('not of this service');
  const key = await keys.find(header.kid);
  if (key === undefined) throw invalidToken('signed with no key of ours');
  const claims = await readClaims(token, key);
  if (claims === undefined) throw invalidToken('not well signed');
  const { iss, aud, gty, sub, jti, sid, iat, exp, tenant, role, scope, client_id: clientId } = claims;
  // Nobody proves a key here, and without one the successor would be good for whoever has the token.
  if (claims['cnf'] !== undefined) throw invalidToken('bound to a key');
  // Tokens that OAuth clients got have refresh tokens of their own: these are not to be refreshed without one.
  if (iss !== issuer || aud !== resource || gty !== 'token_service')
    throw invalidToken('not of this service');
  if (
    ![sub, jti, sid, tenant, role, scope].every((each) => typeof each === 'string') ||
    ![iat, exp].every(Number.isSafeInteger)
  )
    throw invalidToken('not of this service');
  // Checked above, each of them.
  const text = claims as Readonly<Record<string, string>>;
  const expiresAt = (exp as number) * 1000;
  if (now > expiresAt + refreshWindowMs) throw invalidToken('ended too long ago');
  return {
    claims: {
      subject: text['sub'] as string,
      tokenId: text['jti'] as string,
      sessionId: text['sid'] as string,
      grant: 'token_service',
      scopes: (text['scope'] as string).split(' '),
      tenantId: text['tenant'] as string,
      role: text['role'] as string,
      issuedAt: (iat as number) * 1000,
      expiresAt,
      ...(typeof clientId === 'string' && clientId !== tokenServiceClientId ? { clientId } : {}),
    },
  };
}

function readHeader(token: string): ReturnType<typeof decodeProtectedHeader> | undefined {
  try {
    return decodeProtectedHeader(token);
  } catch {
    return undefined;
  }
}

/** Verified, but for the times, which have a window of their own here. */
async function readClaims(
  token: string,
  key: NonNullable<Awaited<ReturnType<SigningKeys['find']>>>,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    const { payload } = await compactVerify(token, key, { algorithms: [signingAlgorithm] });
    const claims: unknown = JSON.parse(new TextDecoder().decode(payload));
    // An object or an array: what is asked of it below is simply absent in the latter.
    return typeof claims === 'object' && claims !== null ? (claims as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** @param detail for the log: the caller learns only that it must sign in again */
function invalidToken(detail: string): RequestError {
  return new RequestError(
    'invalid_token',
    'The token is not valid, or can no longer be refreshed: sign in again',
    {
      detail,
    },
  );
}
