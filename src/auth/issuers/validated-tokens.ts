import type { Principal } from '../principal.ts';

/** The longest that a token is taken without a look at its signature. */
export const maxValidatedMs = 60_000;

/** A token that was validated in full. */
export interface ValidatedToken {
  readonly principal: Principal;
  /** Milliseconds since the epoch. */
  readonly validatedAt: number;
}

/**
 * Validated tokens that instances share, so that each is validated once. Holds no word on revocation, which is asked
 * for with every request. Each method throws `UpstreamError` when it cannot be reached.
 */
export interface ValidatedTokens {
  /** @param hash SHA-256 of the token, base64url: the token itself is never kept */
  load(hash: string): Promise<ValidatedToken | undefined>;
  /** Keeps it for at most `maxValidatedMs`, and never past the token's end. */
  save(hash: string, token: ValidatedToken): Promise<void>;
}
