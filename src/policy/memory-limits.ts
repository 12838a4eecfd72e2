import { RecencyList, type RecencyNode } from '../lib/recency-list.ts';
import { type Limit, type LimitOutcome, type Limits, type LimitSubject, toLimitKey } from './limits.ts';

/** Bounds of limits in memory. */
export interface MemoryLimitsOptions {
  /**
   * Subjects kept at once; past it the one that was longest not asked for is forgotten, as if it had come back. One
   * that is being tried again and again stays. Default 100,000.
   */
  readonly maxSubjects?: number;
  /** Milliseconds. */
  readonly now?: () => number;
}

interface Bucket {
  readonly key: string;
  /** What was taken and has not come back: each cost counts `windowMs`, and `capacity` come back in a millisecond. */
  level: number;
  at: number;
}

/** Limits of this process, gone when it ends. */
export function createMemoryLimits(options: MemoryLimitsOptions = {}): Limits {
  return new MemoryLimits(options);
}

class MemoryLimits implements Limits {
  readonly #maxSubjects: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, RecencyNode<Bucket>>();
  readonly #byUse = new RecencyList<Bucket>();

  constructor(options: MemoryLimitsOptions) {
    this.#maxSubjects = options.maxSubjects ?? 100_000;
    this.#now = options.now ?? Date.now;
  }

  async take(subject: LimitSubject, limit: Limit, cost = 1): Promise<LimitOutcome> {
    const { capacity, windowMs } = limit;
    const bucket = this.#use(toLimitKey(subject, limit, cost));
    const now = this.#now();
    bucket.level = toLevel(bucket, now, limit);
    // A clock that was put back does not hold up what comes back from now on.
    bucket.at = now;
    const outcome = judge(bucket.level, limit, cost);
    if (!outcome.isAllowed) return outcome;
    bucket.level += cost * windowMs;
    return { ...outcome, remaining: Math.floor((capacity * windowMs - bucket.level) / windowMs) };
  }

  async look(subject: LimitSubject, limit: Limit): Promise<LimitOutcome> {
    const node = this.#buckets.get(toLimitKey(subject, limit));
    if (node === undefined) return judge(0, limit, 1);
    this.#byUse.touch(node);
    return judge(toLevel(node.value, this.#now(), limit), limit, 1);
  }

  async reset(subject: LimitSubject, limit: Limit): Promise<void> {
    const node = this.#buckets.get(toLimitKey(subject, limit));
    if (node !== undefined) this.#remove(node);
  }

  #use(key: string): Bucket {
    const known = this.#buckets.get(key);
    if (known !== undefined) {
      this.#byUse.touch(known);
      return known.value;
    }
    const node = this.#byUse.add({ key, level: 0, at: this.#now() });
    this.#buckets.set(key, node);
    const { oldest } = this.#byUse;
    if (this.#byUse.size > this.#maxSubjects && oldest !== undefined) this.#remove(oldest);
    return node.value;
  }

  #remove(node: RecencyNode<Bucket>): void {
    this.#buckets.delete(node.value.key);
    this.#byUse.remove(node);
  }
}

/** What has not come back by now. A clock that was put back lets nothing come back. */
function toLevel({ level, at }: Bucket, now: number, { capacity, windowMs }: Limit): number {
  const elapsedMs = Math.min(Math.max(now - at, 0), windowMs);
  return Math.max(level - elapsedMs * capacity, 0);
}

/** What taking comes to, before it is taken. */
function judge(level: number, { capacity, windowMs }: Limit, cost: number): LimitOutcome {
  const full = capacity * windowMs;
  const wanted = level + cost * windowMs;
  const isAllowed = wanted <= full;
  return {
    isAllowed,
    remaining: Math.floor((full - level) / windowMs),
    retryAfterMs: isAllowed ? 0 : Math.ceil((wanted - full) / capacity),
  };
}
