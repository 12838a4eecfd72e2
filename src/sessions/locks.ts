/** How a lock is asked for. */
export interface LockOptions {
  /** How long the lock outlives a holder that died, 100 or more. While the work runs it is renewed every third of it. */
  readonly ttlMs: number;
  /** How long to wait for another holder. Default 0: not at all. */
  readonly waitMs?: number;
  /** Ends the wait; work under way must watch it by itself. */
  readonly signal?: AbortSignal;
}

/** A lock while it is held. */
export interface HeldLock {
  /**
   * Greater than that of every holder before. A lock can be lost by a holder that does not know it yet, e.g. a process
   * that was frozen: what must never be written by two carries this number, and refuses a smaller one than it has seen.
   */
  readonly token: number;
  /** Aborted, with an `UpstreamError`, when the lock was lost or can no longer be known to be held: stop. */
  readonly signal: AbortSignal;
}

/** What came of asking for a lock. */
export type LockOutcome<Value> =
  | { readonly kind: 'done'; readonly value: Value }
  /** Somebody else held it all the while; nothing ran. */
  | { readonly kind: 'taken' };

/** Work that one instance at a time may do. */
export interface Locks {
  /**
   * Runs work while holding a lock, and gives the lock back.
   *
   * Not fair: of those that wait, any may be next.
   *
   * @param name any text; two names share nothing
   * @throws UpstreamError when the shared store cannot be asked, and nothing ran
   * @throws RangeError for a `ttlMs` below 100
   * @throws what the work throws, and the reason of `options.signal`
   */
  withLock<Value>(
    name: string,
    options: LockOptions,
    run: (lock: HeldLock) => Promise<Value>,
  ): Promise<LockOutcome<Value>>;
}

/** Who holds which lock until when: what makers of locks differ in. A step each, whole or not at all. */
export interface LockTable {
  /**
   * Takes a lock that nobody holds, or the holder's own again.
   *
   * @param holder unique to one attempt
   * @returns the token of this holder, greater than that of every one before; `undefined` while another holds it
   */
  take(name: string, holder: string, ttlMs: number): Promise<number | undefined>;
  /** Prolongs a lock. @returns whether the holder still held it */
  renew(name: string, holder: string, ttlMs: number): Promise<boolean>;
  /** Frees a lock, if it is the holder's. */
  release(name: string, holder: string): Promise<void>;
}
