import type { Principal } from '../principal.ts';
import type { Revocation, RevocationKind } from './revocation-store.ts';

/** When a revocation takes effect and how long it is remembered. */
export interface RevokeOptions {
  /** Milliseconds since the epoch. Default: now. */
  readonly revokedAt?: number;
  /** When no token that is concerned can still be valid. Default: 30 days on, the longest that a token may live. */
  readonly expiresAt?: number;
}

/** What a revocation is held against: a principal, or as much of one as a token says. */
export type Revocable = Pick<Principal, 'subject' | 'activeTenantId' | 'token'>;

/** Told of each revocation, whichever instance made it. May be told twice. */
export type RevocationListener = (
  revocation: Revocation,
  /** Whether the revocation ends what this principal presented. */
  concerns: (principal: Revocable) => boolean,
) => void;

/** Ends tokens before their time, on every instance. */
export interface Revocations {
  /**
   * Resolves when the revocation is stored: this instance refuses from now on, the others as soon as they hear of it
   * and at most `REVOCATION_MAX_STALENESS_MS` later.
   *
   * @param name what is revoked, see `RevocationKind`; at most 512 characters
   * @throws UpstreamError when it cannot be stored
   */
  revoke(kind: RevocationKind, name: string, options?: RevokeOptions): Promise<Revocation>;
  /**
   * Whether what a principal presented was ended. Answers without a promise when what is known is recent enough. False
   * for API keys, whose store tells.
   *
   * @throws UpstreamError when the store could not be looked at for too long, unless `REVOCATION_WHEN_UNKNOWN` is
   *   `accept`
   */
  isRevoked(principal: Revocable): boolean | Promise<boolean>;
  /** @returns a function that stops the calls */
  onRevoked(listener: RevocationListener): () => void;
}
