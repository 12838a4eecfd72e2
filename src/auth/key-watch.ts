import type { ApiKey } from './api-key.ts';
import type { ApiKeyStore } from './api-key-store.ts';

/** How often a request reads the store's marker, where it has one: what another process changed is seen after this. */
export const markerIntervalMs = 10;
/** How old the last look at the store may be when a request is answered, where it has no marker. */
export const maxStalenessMs = 1000;

const maxChangesPerLook = 500;
const retryAfterFailureMs = 1000;

/** What the watch tells of. */
export interface KeyWatchEvents {
  /** This key is now as given. May be told twice. */
  changed(key: ApiKey): void;
  /** Anything may have changed: forget what was known. */
  reset(): void;
  /** Told once for a row of failures. */
  failed(error: unknown): void;
}

/**
 * Notices every change of a key, whichever process made it. Three ways, because none is enough: changes made through
 * this store object are told at once; a store that can push says that something changed; and the store's revision is
 * looked at before a request is answered, when the last look is too old.
 */
export class KeyWatch {
  readonly #keys: ApiKeyStore;
  readonly #events: KeyWatchEvents;
  readonly #now: () => number;
  readonly #stop: () => void;
  /** Every change up to here has been told; `undefined` before the first look. */
  #revision: number | undefined;
  #marker: number | undefined;
  #markerReadAt = 0;
  #checkedAt = 0;
  #failedAt: number | undefined;
  #isDirty = true;
  #isClosed = false;
  #look: Promise<void> | undefined;

  constructor(keys: ApiKeyStore, events: KeyWatchEvents, now: () => number) {
    this.#keys = keys;
    this.#events = events;
    this.#now = now;
    this.#stop = keys.onChange((event) => {
      if (event.kind === 'changed') return this.#events.changed(event.key);
      this.#isDirty = true;
      this.look().catch(() => undefined);
    });
  }

  /** Whether what was told is recent enough to answer a request from. No waiting, and mostly no I/O. */
  isCurrent(now: number): boolean {
    if (isPast(now, this.#markerReadAt, markerIntervalMs)) this.#readMarker(now);
    return !this.#isDirty && !isPast(now, this.#checkedAt, maxStalenessMs + 1);
  }

  /** Whether the store was out of reach at the last look: waiting for the next one would only delay a request. */
  get isFailing(): boolean {
    return this.#failedAt !== undefined;
  }

  /** Looks when the last look is half as old as it may be, so that a request hardly ever has to wait for one. */
  poll(): void {
    const now = this.#now();
    if (this.#failedAt !== undefined && !isPast(now, this.#failedAt, retryAfterFailureMs)) return;
    if (!this.isCurrent(now) || isPast(now, this.#checkedAt, maxStalenessMs / 2))
      this.look().catch(() => undefined);
  }

  /** Asks the store what changed and tells it; those who ask meanwhile wait for the same answer. */
  look(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#look ??= this.#lookNow().finally(() => {
      this.#look = undefined;
    });
    return this.#look;
  }

  close(): void {
    this.#isClosed = true;
    this.#stop();
  }

  #readMarker(now: number): void {
    this.#markerReadAt = now;
    try {
      const marker = this.#keys.readMarker();
      if (marker === undefined) return;
      if (marker === this.#marker) this.#checkedAt = now;
      else this.#isDirty = true;
    } catch {
      // The look that this leads to fails as well, and tells.
      this.#isDirty = true;
    }
  }

  async #lookNow(): Promise<void> {
    const startedAt = this.#now();
    this.#isDirty = false;
    try {
      // Read before the revision: a change in between is then seen as new by the next reading.
      this.#marker = this.#keys.readMarker();
      await this.#tellChanges(await this.#keys.loadRevision());
      this.#checkedAt = startedAt;
      this.#failedAt = undefined;
    } catch (error) {
      this.#isDirty = true;
      if (this.#failedAt === undefined) this.#events.failed(error);
      this.#failedAt = this.#now();
      throw error;
    }
  }

  async #tellChanges(latest: number): Promise<void> {
    // Lower than before: an older copy of the data was restored under us.
    if (this.#revision === undefined || latest < this.#revision) {
      this.#events.reset();
      this.#revision = latest;
    }
    while (this.#revision < latest) {
      const changes = await this.#keys.listChanges(this.#revision, maxChangesPerLook);
      for (const key of changes) this.#events.changed(key);
      this.#revision = changes.length < maxChangesPerLook ? latest : (changes.at(-1)?.revision ?? latest);
    }
  }
}

/** Also when the clock was set back: better one look too many than none until the clock has caught up. */
function isPast(now: number, since: number, intervalMs: number): boolean {
  return now - since >= intervalMs || now < since;
}
