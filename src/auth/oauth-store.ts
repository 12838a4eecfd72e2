/** One thing that the authorization server remembers between requests: a code, a grant, a refresh token, a sign-in. */
export interface OauthRecord {
  /** What it is, e.g. `AuthorizationCode`; with `idHash` its key. */
  readonly model: string;
  /** SHA-256 of its id in hexadecimal: the id itself is a credential and never rests. */
  readonly idHash: string;
  /** JSON text, sealed with purpose `oauth-record`, bound to `model:idHash`. */
  readonly sealedPayload: string;
  readonly grantId?: string;
  readonly uid?: string;
  readonly userCode?: string;
  /** Milliseconds since the epoch, both. */
  readonly consumedAt?: number;
  readonly expiresAt?: number;
}

/** A client that registered itself (RFC 7591). */
export interface OauthClient {
  readonly id: string;
  /** Its metadata as registered and normalised, JSON text; a secret in it is sealed. */
  readonly metadata: string;
  /** SHA-256 over what makes two registrations the same one, in hexadecimal. */
  readonly fingerprint: string;
  /** Milliseconds since the epoch, both. Written in batches: may be a few minutes behind. */
  readonly createdAt: number;
  readonly lastUsedAt: number;
}

/** Where the authorization server keeps what it must. Each method throws `UpstreamError` when it cannot be reached. */
export interface OauthStore {
  /** Adds, or replaces the whole record: one that was consumed no longer is. */
  upsert(record: OauthRecord): Promise<void>;
  /** Adds a record, of which there is none yet. Of many at once exactly one gets true. */
  insert(record: OauthRecord): Promise<boolean>;
  /** `undefined` when unknown or expired at `now`. */
  find(model: string, idHash: string, now: number): Promise<OauthRecord | undefined>;
  findByUid(model: string, uid: string, now: number): Promise<OauthRecord | undefined>;
  /**
   * Marks a record as used. Of many at once exactly one gets true.
   *
   * @returns false when it was consumed before, is unknown or expired
   */
  consume(model: string, idHash: string, now: number): Promise<boolean>;
  remove(model: string, idHash: string): Promise<void>;
  /** Removes everything that came of one grant. */
  removeByGrant(grantId: string): Promise<void>;
  /** Forgets records that expired by `now`, at most a thousand. @returns how many */
  removeExpired(now: number): Promise<number>;

  /**
   * @returns the client as stored: the one that was there before, when one of the same fingerprint was; registering
   *   again is a use of it
   */
  insertClient(client: OauthClient): Promise<OauthClient>;
  findClient(id: string): Promise<OauthClient | undefined>;
  /** Never goes back. */
  recordClientUse(lastUsedAt: ReadonlyMap<string, number>): Promise<void>;
  /**
   * Forgets clients last used before `usedBefore`, at most a thousand. That must be longer ago than any of their refresh
   * tokens lives.
   *
   * @returns how many
   */
  removeUnusedClients(usedBefore: number): Promise<number>;
}
