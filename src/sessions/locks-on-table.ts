import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { UpstreamError } from '../errors.ts';
import type { HeldLock, LockOptions, LockOutcome, Locks, LockTable } from './locks.ts';

/** Where time and chance come from. */
export interface LocksOptions {
  /** Milliseconds; never runs backwards. */
  readonly now?: () => number;
  /** Spreads those that wait. At least 0, below 1. */
  readonly random?: () => number;
}

const minTtlMs = 100;
/** Between two looks at a lock that somebody else holds; by chance down to half of it. */
const lookMs = 200;
/** Renewals within one time to live: two may fail. */
const renewalsPerTtl = 3;

/** Locks over a table of who holds what. Holds timers only while work runs. */
export function createLocks(table: LockTable, options: LocksOptions = {}): Locks {
  const { now = () => performance.now(), random = Math.random } = options;
  return {
    withLock: async (name, lock, run) => {
      if (!(lock.ttlMs >= minTtlMs && Number.isFinite(lock.ttlMs)))
        throw new RangeError(`ttlMs must be at least ${minTtlMs}, not ${lock.ttlMs}.`);
      const holder = randomUUID();
      try {
        const held = await waitFor(name, holder, lock);
        return held === undefined ? { kind: 'taken' } : await runHolding(held, run);
      } finally {
        // Also where it is not known whether it was taken. A lock that cannot be given back frees itself.
        await table.release(name, holder).catch(() => undefined);
      }
    },
  };

  async function waitFor(name: string, holder: string, lock: LockOptions): Promise<Holding | undefined> {
    const { ttlMs, waitMs = 0, signal } = lock;
    const deadline = now() + waitMs;
    for (;;) {
      signal?.throwIfAborted();
      const askedAt = now();
      const token = await table.take(name, holder, ttlMs);
      if (token !== undefined) {
        const renew = (): Promise<boolean> => table.renew(name, holder, ttlMs);
        return new Holding({ token, renew, ttlMs, now, askedAt });
      }
      const leftMs = deadline - now();
      if (leftMs <= 0) return undefined;
      const pauseMs = Math.min(leftMs, lookMs * (0.5 + random() / 2));
      await sleep(pauseMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
    }
  }
}

async function runHolding<Value>(
  held: Holding,
  run: (lock: HeldLock) => Promise<Value>,
): Promise<LockOutcome<Value>> {
  try {
    return { kind: 'done', value: await run(held) };
  } finally {
    held.end();
  }
}

interface HoldingParts {
  readonly token: number;
  readonly renew: () => Promise<boolean>;
  readonly ttlMs: number;
  readonly now: () => number;
  /** Before the lock was asked for: its time to live began later. */
  readonly askedAt: number;
}

/** Keeps a lock renewed, and notices when it is lost. */
class Holding implements HeldLock {
  readonly token: number;
  readonly #parts: HoldingParts;
  readonly #lost = new AbortController();
  readonly #renewal: NodeJS.Timeout;
  #expiry: NodeJS.Timeout;

  constructor(parts: HoldingParts) {
    this.token = parts.token;
    this.#parts = parts;
    this.#expiry = this.#expireAt(parts.askedAt + parts.ttlMs);
    this.#renewal = setInterval(() => void this.#renew(), parts.ttlMs / renewalsPerTtl);
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  end(): void {
    clearInterval(this.#renewal);
    clearTimeout(this.#expiry);
  }

  async #renew(): Promise<void> {
    const { renew, now, ttlMs } = this.#parts;
    const askedAt = now();
    // One that cannot be made now is tried again, until the lock runs out.
    const isHeld = await renew().catch(() => undefined);
    if (isHeld === undefined || this.#lost.signal.aborted) return;
    clearTimeout(this.#expiry);
    if (isHeld) this.#expiry = this.#expireAt(askedAt + ttlMs);
    else this.#lose();
  }

  #expireAt(time: number): NodeJS.Timeout {
    return setTimeout(() => this.#lose(), Math.max(time - this.#parts.now(), 0));
  }

  #lose(): void {
    this.end();
    this.#lost.abort(new UpstreamError('locks', 'The lock was lost'));
  }
}
