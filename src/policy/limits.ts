import { createHash } from 'node:crypto';

/** How often something may happen: `capacity` times at once, and they come back evenly over `windowMs`. */
export interface Limit {
  /** 1 to `maxCapacity`. */
  readonly capacity: number;
  /** How long what was wholly used up takes to come back, 1 to `maxWindowMs`. */
  readonly windowMs: number;
}

/** What is limited, then whose it is, e.g. `['sign-in', tenantId, name]`. Two lists that differ share nothing. */
export type LimitSubject = readonly [what: string, ...whose: string[]];

/** What came of asking. */
export interface LimitOutcome {
  readonly isAllowed: boolean;
  /** How much could be taken at this moment, after what this outcome took. */
  readonly remaining: number;
  /** 0 when allowed; else how long until the same cost is allowed, if nobody else takes any. At most `windowMs`. */
  readonly retryAfterMs: number;
}

/**
 * Limits on what callers do, counted over all instances together. A token bucket each: over any time it lets through
 * no more than `capacity`, and as much again for every `windowMs` of it.
 *
 * Count before the work, not after: of attempts made at once, those that are one too many are then refused. What was
 * refused costs nothing. A limit whose numbers change starts anew.
 *
 * Where only failures may count, look before the work and take after it: then attempts made at once may be as many as
 * they like, and what follows them is refused.
 *
 * Does not check: who asks. A subject that a caller can choose freely limits nobody; one that names somebody else's
 * account lets its caller use up that account's attempts.
 */
export interface Limits {
  /**
   * Takes from a limit, if there is enough.
   *
   * @param cost 1 to the limit's capacity. Default 1
   * @throws RangeError for a limit or a cost out of bounds
   * @throws UpstreamError when the shared store cannot be asked: refuse then. It may have been taken
   */
  take(subject: LimitSubject, limit: Limit, cost?: number): Promise<LimitOutcome>;
  /** What taking one would come to at this moment; nothing is taken. @throws RangeError @throws UpstreamError */
  look(subject: LimitSubject, limit: Limit): Promise<LimitOutcome>;
  /** Gives back all that was taken, e.g. when a sign-in succeeds. @throws UpstreamError */
  reset(subject: LimitSubject, limit: Limit): Promise<void>;
}

/** The largest capacity of a limit. */
export const maxCapacity = 1_000_000;

/** The longest window of a limit: 31 days. */
export const maxWindowMs = 2_678_400_000;

/**
 * The name under which a limit is kept, 43 characters however long the subject is. A hash: no caller's text rests in a
 * store in the clear. It hides nothing from whoever can guess the text.
 *
 * @throws RangeError for a limit or a cost out of bounds
 */
export function toLimitKey(subject: LimitSubject, { capacity, windowMs }: Limit, cost: number = 1): string {
  requireWithin('capacity', capacity, maxCapacity);
  requireWithin('windowMs', windowMs, maxWindowMs);
  requireWithin('cost', cost, capacity);
  return createHash('sha256')
    .update(JSON.stringify([subject, capacity, windowMs]))
    .digest('base64url');
}

function requireWithin(name: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 1 || value > max)
    throw new RangeError(`${name} must be an integer from 1 to ${max}, not ${value}.`);
}
