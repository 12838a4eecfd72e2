/** All tokens that descend from one sign-in by refreshing: `sid` in each of them. */
export interface TokenFamily {
  /** A UUID. */
  readonly id: string;
  readonly userId: string;
  readonly tenantId: string;
  readonly scopes: readonly string[];
  /** When the user proved who they are: `auth_time`, in milliseconds since the epoch. */
  readonly startedAt: number;
  /** No token of the family lives past this. */
  readonly endsAt: number;
  /** `jti` of the newest token. */
  readonly latestId: string;
}

/** What came of presenting a token for its successor. */
export type Succession =
  /** `toId` is now the newest. */
  | { readonly kind: 'succeeded'; readonly family: TokenFamily }
  /** The token had its successor a moment ago: whoever asks now gets the same one, `family.latestId`. */
  | { readonly kind: 'repeated'; readonly family: TokenFamily }
  /** The token had its successor longer ago than the grace: somebody else holds a copy. */
  | { readonly kind: 'reused'; readonly family: TokenFamily }
  /** The family is unknown, revoked or past its end, or the token was never of it. */
  | { readonly kind: 'ended' };

/** Where token families are kept. Each method throws `UpstreamError` when it cannot be reached. */
export interface TokenFamilyStore {
  insert(family: TokenFamily): Promise<void>;
  findById(id: string): Promise<TokenFamily | undefined>;
  /**
   * Makes `toId` the successor of `fromId`, atomically: of many at once one succeeds, the others repeat.
   *
   * @param step.graceMs how long after a succession the same token may be presented again
   */
  succeed(
    familyId: string,
    step: { readonly fromId: string; readonly toId: string; readonly now: number; readonly graceMs: number },
  ): Promise<Succession>;
  /** @returns whether it was alive */
  revoke(familyId: string, now: number): Promise<boolean>;
  /** Forgets families whose end was before `endedBefore`, at most a thousand. @returns how many */
  removeEnded(endedBefore: number): Promise<number>;
}
