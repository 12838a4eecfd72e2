import { UpstreamError } from '../../errors.ts';
import type { ReplayGuard } from './replay-guard.ts';

const defaultMaxEntries = 200_000;

/** A guard for one process. Past its bound it refuses rather than forget what could be used again. */
export class MemoryReplayGuard implements ReplayGuard {
  readonly #maxEntries: number;
  readonly #now: () => number;
  readonly #endsAt = new Map<string, number>();

  constructor(options: { readonly maxEntries?: number; readonly now?: () => number } = {}) {
    this.#maxEntries = options.maxEntries ?? defaultMaxEntries;
    this.#now = options.now ?? Date.now;
  }

  claim(name: string, ttlMs: number): boolean {
    const now = this.#now();
    if (now < (this.#endsAt.get(name) ?? 0)) return false;
    this.#removeEnded(now);
    if (this.#endsAt.size >= this.#maxEntries)
      throw new UpstreamError('replay_guard', 'Too many proofs at once');
    this.#endsAt.delete(name);
    this.#endsAt.set(name, now + ttlMs);
    return true;
  }

  /** In the order of claiming, which with one lifetime for all is that of ending. */
  #removeEnded(now: number): void {
    for (const [name, endsAt] of this.#endsAt) {
      if (now < endsAt) return;
      this.#endsAt.delete(name);
    }
  }
}
