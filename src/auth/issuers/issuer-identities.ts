import { RequestError } from '../../errors.ts';
import type { IdentityVerifier, VerifiedIdentity } from '../tokens/identity-verifier.ts';
import { type TokenVerifier, toUserIssuer, type VerifiedToken } from './token-verifier.ts';

const maxTextLength = 320;

/** Identity tokens of the trusted issuers. @param now milliseconds since the epoch */
export function createIdentityVerifier(
  verifier: Pick<TokenVerifier, 'verify'>,
  now: () => number = Date.now,
): IdentityVerifier {
  return {
    verifyIdentity: async (token, issuer) => {
      const verified = await verifier.verify(token, 'identity', issuer === undefined ? {} : { from: issuer });
      return toIdentity(verified, now());
    },
  };
}

function toIdentity(verified: VerifiedToken, now: number): VerifiedIdentity {
  const { payload } = verified;
  const { auth_time: authTime } = payload;
  const authenticatedAt = typeof authTime === 'number' ? authTime * 1000 : undefined;
  if (authenticatedAt !== undefined && authenticatedAt > now + toleranceMs) {
    throw new RequestError('invalid_token', 'The token is not valid', { detail: 'auth_time is to come' });
  }
  return {
    issuer: toUserIssuer(verified),
    subject: payload.sub,
    ...toNames(payload),
    ...(authenticatedAt !== undefined && { authenticatedAt }),
  };
}

/** What an issuer says that people are called. OpenID Connect Core 1.0, section 5.1. */
export function toNames(claims: Readonly<Record<string, unknown>>): Pick<VerifiedIdentity, 'name' | 'email'> {
  const { email_verified: isEmailVerified } = claims;
  const [name, email] = [toLine(claims['name']), toLine(claims['email'])];
  return {
    ...(name !== undefined && { name }),
    // One that the issuer itself does not vouch for is none.
    ...(email !== undefined && isEmailVerified !== false && { email }),
  };
}

const toleranceMs = 30_000;

/** People choose it: without what would forge lines in an operator's terminal, or what PostgreSQL cannot keep. */
function toLine(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > maxTextLength) return undefined;
  const line = value.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, ' ').trim();
  return line === '' ? undefined : line;
}
