import { RequestError } from '../../errors.ts';
import type { IdentityVerifier, VerifiedIdentity } from '../tokens/identity-verifier.ts';
import type { TokenVerifier, VerifiedToken } from './token-verifier.ts';

const maxTextLength = 320;

/** Identity tokens of the trusted issuers. @param now milliseconds since the epoch */
export function createIdentityVerifier(
  verifier: Pick<TokenVerifier, 'verify'>,
  now: () => number = Date.now,
): IdentityVerifier {
  return {
    verifyIdentity: async (token, issuer) => {
      const verified = await verifier.verify(token, 'identity', issuer === undefined ? {} : { from: issuer });
      return toIdentity(verified.payload, now());
    },
  };
}

function toIdentity(payload: VerifiedToken['payload'], now: number): VerifiedIdentity {
  const { auth_time: authTime, name, email, email_verified: isEmailVerified } = payload;
  const authenticatedAt = typeof authTime === 'number' ? authTime * 1000 : undefined;
  if (authenticatedAt !== undefined && authenticatedAt > now + toleranceMs) {
    throw new RequestError('invalid_token', 'The token is not valid', { detail: 'auth_time is to come' });
  }
  return {
    issuer: payload.iss,
    subject: payload.sub,
    ...(isText(name) && { name }),
    // One that the issuer itself does not vouch for is none.
    ...(isText(email) && isEmailVerified !== false && { email }),
    ...(authenticatedAt !== undefined && { authenticatedAt }),
  };
}

const toleranceMs = 30_000;

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= maxTextLength;
}
