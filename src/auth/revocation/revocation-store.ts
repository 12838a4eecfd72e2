/**
 * What a revocation names. `token`: a `jti`. `session`: a `sid`, all tokens of one sign-in. `grant`: what a user allowed
 * a client. `user`: a subject of `Principal`. `client`: a `client_id`. `tenant`: a tenant id. API keys are revoked in
 * their own store.
 */
export type RevocationKind = 'token' | 'session' | 'grant' | 'user' | 'client' | 'tenant';

/** Something whose tokens are refused when they were issued at or before a moment. */
export interface Revocation {
  readonly kind: RevocationKind;
  readonly name: string;
  /** Milliseconds since the epoch. Tokens issued later, e.g. after a new sign-in, are not concerned. */
  readonly revokedAt: number;
  /** When no token that is concerned can still be valid, so that the entry may be forgotten. */
  readonly expiresAt: number;
  /** Grows with each change in the store. */
  readonly revision: number;
}

/** What a store tells of a change: the entry, or only that something, anywhere, may have changed. */
export type RevocationEvent =
  | { readonly kind: 'changed'; readonly revocation: Revocation }
  | { readonly kind: 'unknown' };

/**
 * Where revocations are kept, for all instances. Shaped like `ApiKeyStore`, whose notes on revision, marker and
 * `onChange` hold here too. Each method throws `UpstreamError` when it cannot be reached.
 */
export interface RevocationStore {
  /** Adds an entry, or moves the one of this kind and name forward; never back. @returns as stored */
  insert(revocation: Omit<Revocation, 'revision'>): Promise<Revocation>;
  loadRevision(): Promise<number>;
  /** Entries that changed after `revision`, in the order of their changes, at most `limit`. */
  listChanges(revision: number, limit: number): Promise<readonly Revocation[]>;
  readMarker(): number | undefined;
  onChange(listener: (event: RevocationEvent) => void): () => void;
  /** Forgets entries that expired by `now`, at most a thousand. @returns how many */
  removeExpired(now: number): Promise<number>;
}
