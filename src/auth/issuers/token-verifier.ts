/**
 * Signed tokens of trusted issuers: who signed, for whom, for how long, and what kind of token it is.
 *
 * Not checked here: whether it was revoked, whether who presents it is who it was issued to, what it allows.
 */
import { decodeJwt, errors, jwtVerify, type JWTHeaderParameters, type JWTPayload } from 'jose';
import type { IssuerUse, TrustedIssuer } from '../../config/trusted-issuers.ts';
import { RequestError, UpstreamError } from '../../errors.ts';
import { toCanonicalUri } from '../../lib/canonical-uri.ts';
import type { KeySet } from './key-set.ts';

/** Longer tokens are refused unread. */
export const maxTokenLength = 16_384;

/** OpenID Connect Core 1.0, section 2, and what a terminal or a page can show. */
const subjectPattern = /^[^\p{C}\p{Zl}\p{Zp}]{1,255}$/u;
const toleranceSeconds = 30;
/** Past this a revocation might be forgotten before the token ends. 30 days. */
const maxLifetimeSeconds = 30 * 24 * 3600;

/** An issuer with its keys. */
export interface IssuerWithKeys {
  readonly issuer: TrustedIssuer;
  readonly keys: KeySet;
}

/** A token that holds. */
export interface VerifiedToken {
  readonly issuer: TrustedIssuer;
  readonly header: JWTHeaderParameters;
  readonly payload: JWTPayload & {
    readonly iss: string;
    readonly sub: string;
    readonly exp: number;
    readonly iat: number;
  };
}

/**
 * The URL by which the users of an issuer are known here: the first of its record, whichever of them a token names. Several
 * are several names of one directory.
 */
export function toUserIssuer({ issuer, payload }: Pick<VerifiedToken, 'issuer' | 'payload'>): string {
  return issuer.issuers[0] ?? payload.iss;
}

/** What a token must be good for, beyond its issuer's record. */
export interface VerifyOptions {
  /** Takes the place of the record's audiences. */
  readonly audiences?: readonly string[];
  /** `typ` of the header; takes the place of the record's rule. */
  readonly type?: string;
  /** Name or URL of the issuer it has to be of. */
  readonly from?: string;
}

/** Verifies tokens of trusted issuers. */
export interface TokenVerifier {
  /** Adds an issuer, e.g. this host itself once it knows its public URL. Takes the place of one with the same URL. */
  trust(issuer: IssuerWithKeys): void;
  /**
   * @throws RequestError `invalid_token` (401), its reason in `detail` only
   * @throws UpstreamError when the issuer's keys cannot be had
   */
  verify(token: string, use: IssuerUse, options?: VerifyOptions): Promise<VerifiedToken>;
}

/** A token whose signature was not its issuer's: the one failure that may be remembered. */
export class BadSignature extends RequestError {}

/** @param issuers each URL at most once */
export function createTokenVerifier(
  issuers: readonly IssuerWithKeys[],
  now: () => number = Date.now,
): TokenVerifier {
  const byUrl = new Map(issuers.flatMap((each) => each.issuer.issuers.map((url) => [url, each] as const)));
  return {
    trust: (added) => {
      for (const url of added.issuer.issuers) byUrl.set(url, added);
    },
    verify: async (token, use, options = {}) => {
      if (token.length > maxTokenLength) throw toInvalid('too long');
      const { issuer, keys } = toTrusted(byUrl, token);
      if (!issuer.uses.includes(use)) throw toInvalid(`issuer ${issuer.name} is not trusted for ${use}`);
      if (
        options.from !== undefined &&
        options.from !== issuer.name &&
        !issuer.issuers.includes(options.from)
      )
        throw toInvalid('of another issuer than asked for');
      const { payload, protectedHeader } = await verifySignature(token, { issuer, keys, now });
      const verified = requireTimes(payload, now());
      requireAudience(payload, options.audiences ?? toAudiences(issuer, use));
      if (options.type === undefined) requireKind(protectedHeader, payload, { issuer, use });
      else if (toType(protectedHeader) !== options.type) throw toInvalid('typ is not the one asked for');
      return { issuer, header: protectedHeader, payload: verified };
    },
  };
}

function toTrusted(byUrl: ReadonlyMap<string, IssuerWithKeys>, token: string): IssuerWithKeys {
  let iss: unknown;
  try {
    ({ iss } = decodeJwt(token));
  } catch (error) {
    throw toInvalid('malformed', error);
  }
  const found = typeof iss === 'string' ? byUrl.get(iss) : undefined;
  if (found === undefined) throw toInvalid('of no trusted issuer');
  return found;
}

async function verifySignature(
  token: string,
  { issuer, keys, now }: IssuerWithKeys & { readonly now: () => number },
): Promise<{ readonly payload: JWTPayload; readonly protectedHeader: JWTHeaderParameters }> {
  try {
    return await jwtVerify(token, (header, input) => keys.find(header, input), {
      algorithms: [...issuer.algorithms],
      issuer: [...issuer.issuers],
      clockTolerance: toleranceSeconds,
      requiredClaims: ['iss', 'sub', 'aud', 'exp', 'iat'],
      currentDate: new Date(now()),
    });
  } catch (error) {
    if (error instanceof UpstreamError) throw error;
    if (error instanceof errors.JWSSignatureVerificationFailed)
      throw new BadSignature('invalid_token', 'The token is not valid', {
        detail: 'bad signature',
        cause: error,
      });
    if (error instanceof errors.JOSEError) throw toInvalid(error.code, error);
    // Web Crypto refuses keys and signatures that do not fit: whoever made the token is at fault.
    if (error instanceof TypeError || error instanceof DOMException) throw toInvalid('unusable key', error);
    throw error;
  }
}

function requireTimes(payload: JWTPayload, now: number): VerifiedToken['payload'] {
  const { iss, sub, exp, iat } = payload;
  if (typeof iss !== 'string' || typeof sub !== 'string' || !subjectPattern.test(sub))
    throw toInvalid('sub is missing, too long, or has characters that cannot be seen');
  if (typeof exp !== 'number' || typeof iat !== 'number') throw toInvalid('exp or iat is missing');
  // The tolerance is for clocks that are behind: what has ended here has ended.
  if (now >= exp * 1000) throw toInvalid('expired');
  if (iat * 1000 > now + toleranceSeconds * 1000) throw toInvalid('issued in the future');
  if (exp - iat > maxLifetimeSeconds) throw toInvalid('lives longer than 30 days');
  return { ...payload, iss, sub, exp, iat };
}

function toAudiences(issuer: TrustedIssuer, use: IssuerUse): readonly string[] {
  return use === 'identity' ? issuer.identityAudiences : issuer.audiences;
}

/** RFC 8707, section 2; MCP 2026-07-28, Authorization, Token Handling: a token for another audience MUST be refused. */
function requireAudience({ aud }: JWTPayload, audiences: readonly string[]): void {
  const named = [aud ?? []].flat();
  if (!named.some((each) => typeof each === 'string' && audiences.includes(toCanonicalUri(each))))
    throw toInvalid('for another audience');
}

function requireKind(
  header: JWTHeaderParameters,
  payload: JWTPayload,
  { issuer, use }: { readonly issuer: TrustedIssuer; readonly use: IssuerUse },
): void {
  const type = toType(header);
  if (use === 'identity') {
    if (type !== undefined && type !== 'jwt' && type !== 'id_token+jwt') throw toInvalid('not an ID token');
    const { auth_time: authenticatedAt } = payload;
    if (authenticatedAt !== undefined && typeof authenticatedAt !== 'number')
      throw toInvalid('auth_time is no time');
    return;
  }
  if (use !== 'access') throw toInvalid('needs a type');
  const isAccessType = type === 'at+jwt';
  const isJwt = type === 'jwt' || type === undefined;
  if (issuer.tokenType === 'at+jwt' ? !isAccessType : !isJwt && !(isAccessType && issuer.tokenType === 'any'))
    throw toInvalid('typ is not that of an access token');
  if (!isAccessType) refuseIdToken(payload, issuer);
  for (const [claim, value] of Object.entries(issuer.accessClaims))
    if (payload[claim] !== value) throw toInvalid(`${claim} is not that of an access token`);
}

/** Where the header does not tell the two apart: only an ID token has these claims, and only an access token scopes. */
function refuseIdToken(payload: JWTPayload, issuer: TrustedIssuer): void {
  const isIdToken = ['nonce', 'at_hash', 'c_hash', 's_hash'].some((claim) => claim in payload);
  if (isIdToken) throw toInvalid('an ID token is no access token');
  if (!issuer.scopeClaims.some((claim) => claim in payload))
    throw toInvalid('without a scope claim it may be an ID token');
}

/** RFC 7515, section 4.1.9: `application/` may be left out, and case does not count. */
function toType({ typ }: JWTHeaderParameters): string | undefined {
  return typ?.toLowerCase().replace(/^application\//, '');
}

function toInvalid(detail: string, cause?: unknown): RequestError {
  return new RequestError('invalid_token', 'The token is not valid', { detail, cause });
}
