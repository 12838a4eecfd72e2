/**
 * Proofs of possession, at the resource server and where tokens are asked for.
 *
 * Not checked here: nonces, which RFC 9449 leaves to the server; a proof is bounded by its time and its single use.
 */
import { calculateJwkThumbprint, EmbeddedJWK, errors, jwtVerify, type JWTPayload } from 'jose';
import { RequestError } from '../../errors.ts';
import type { Presentation } from '../authenticator.ts';
import type { ReplayGuard } from './replay-guard.ts';

/** The signatures that proofs may have. */
export const dpopAlgorithms: readonly string[] = ['ES256', 'ES384', 'RS256', 'PS256', 'EdDSA', 'Ed25519'];

/** How far a proof's time may be from ours, either way. RFC 9449, section 11.1: a brief period. */
const windowMs = 60_000;
const maxProofLength = 8192;
const maxIdLength = 256;

/** What a proof has to prove. */
export interface ProofSubject {
  readonly presentation: Presentation;
  /** Absent where there is no token yet: a token is asked for that is to be bound to the key. RFC 9449, section 5. */
  readonly token?: {
    /** SHA-256 of the access token, base64url. */
    readonly hash: string;
    /** `cnf.jkt` of the access token. */
    readonly jkt: string;
  };
}

/** Checks a proof against the request it came with. @returns the thumbprint of the key that it proves */
export type ProofCheck = (subject: ProofSubject) => Promise<string>;

/**
 * Makes the check of RFC 9449, section 4.3, whose numbers the comments name. (1, one header only, is the HTTP layer's:
 * two come joined by a comma, which is no JWT.)
 *
 * The check throws RequestError `invalid_dpop_proof` (401), its reason in `detail` only, and UpstreamError when it
 * cannot be known whether a proof was used before.
 */
export function createProofCheck(replays: ReplayGuard, now: () => number = Date.now): ProofCheck {
  return async ({ presentation, token }) => {
    const { proof } = presentation;
    if (proof === undefined || proof.length > maxProofLength) throw toInvalid('missing or too long');
    const { payload, thumbprint } = await verifyProof(proof, now);
    requireRequest(payload, presentation);
    const { jti, iat, ath } = payload;
    // 11: the server's own bounds.
    if (typeof iat !== 'number' || Math.abs(now() - iat * 1000) > windowMs)
      throw toInvalid('iat out of bounds');
    // 12: of this token, and by the key that it is bound to.
    if (token !== undefined && ath !== token.hash) throw toInvalid('ath is of another token');
    if (token !== undefined && thumbprint !== token.jkt) throw toInvalid('the token is bound to another key');
    if (typeof jti !== 'string' || jti === '' || jti.length > maxIdLength)
      throw toInvalid('jti is missing or too long');
    // Last, so that only a proof that holds is remembered. Twice the window: a proof may be from the near future.
    const isFirst = await replays.claim(await toReplayName(thumbprint, jti), 2 * windowMs);
    if (!isFirst) throw toInvalid('used before');
    return thumbprint;
  };
}

async function verifyProof(
  proof: string,
  now: () => number,
): Promise<{ readonly payload: JWTPayload; readonly thumbprint: string }> {
  try {
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, {
      // 4 to 6: typ, an asymmetric algorithm, the signature by the key in the header.
      typ: 'dpop+jwt',
      algorithms: [...dpopAlgorithms],
      // 3: all required claims; `ath` is looked at where there is a token.
      requiredClaims: ['jti', 'htm', 'htu', 'iat'],
      currentDate: new Date(now()),
    });
    const { jwk } = protectedHeader;
    // 7: no private key.
    if (jwk === undefined || 'd' in jwk) throw toInvalid('jwk is missing or private');
    return { payload, thumbprint: await calculateJwkThumbprint(jwk) };
  } catch (error) {
    if (error instanceof errors.JOSEError) throw toInvalid(error.code, error);
    if (error instanceof TypeError || error instanceof DOMException) throw toInvalid('unusable key', error);
    throw error;
  }
}

/** 8 and 9: for this method and this URL, without query and fragment. */
function requireRequest({ htm, htu }: JWTPayload, { method, url }: Presentation): void {
  if (htm !== method) throw toInvalid('htm is another method');
  if (typeof htu !== 'string' || toComparableUrl(htu) !== toComparableUrl(url))
    throw toInvalid('htu is another URL');
}

/** RFC 3986, sections 6.2.2 and 6.2.3, as section 4.3 asks for. */
function toComparableUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  return url.origin + url.pathname;
}

async function toReplayName(thumbprint: string, jti: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', Buffer.from(`${thumbprint}.${jti}`));
  return Buffer.from(digest).toString('base64url');
}

function toInvalid(detail: string, cause?: unknown): RequestError {
  return new RequestError('invalid_dpop_proof', 'The DPoP proof does not hold', {
    scheme: 'DPoP',
    detail,
    cause,
  });
}
