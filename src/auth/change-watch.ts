/** How often a request reads the store's marker, where it has one: what another process changed is seen after this. */
export const markerIntervalMs = 10;
/** How old the last look at the store may be when a request is answered, unless a watch is told otherwise. */
const maxStalenessMs = 1000;

const maxChangesPerLook = 500;
const retryAfterFailureMs = 1000;

/** A store whose changes can be followed; see `ApiKeyStore` for revision, marker and what `onChange` tells. */
export interface ChangeSource<Change> {
  loadRevision(): Promise<number>;
  listChanges(revision: number, limit: number): Promise<readonly Change[]>;
  readMarker(): number | undefined;
  /** @param listener told what is now as given, or nothing when anything may have changed */
  onChange(listener: (change: Change | undefined) => void): () => void;
}

/** What the watch tells of. */
export interface ChangeWatchEvents<Change> {
  /** This is now as given. May be told twice. */
  changed(change: Change): void;
  /** Anything may have changed: forget what was known. */
  reset(): void;
  /** Told once for a row of failures. */
  failed(error: unknown): void;
}

/** How a watch looks. */
export interface ChangeWatchOptions {
  readonly now: () => number;
  /** How old the last look may be when a request is answered. 0: look before each one. Default 1000. */
  readonly maxStalenessMs?: number;
  /** Tell everything there is at the first look. Default false: what was there before is for whoever asks. */
  readonly tellsAll?: boolean;
}

/**
 * Notices every change in a store, whichever process made it. Three ways, because none is enough: changes made through
 * this store object are told at once; a store that can push says that something changed; and the store's revision is
 * looked at before a request is answered, when the last look is too old.
 */
export class ChangeWatch<Change extends { readonly revision: number }> {
  readonly #source: ChangeSource<Change>;
  readonly #events: ChangeWatchEvents<Change>;
  readonly #now: () => number;
  readonly #maxStalenessMs: number;
  readonly #tellsAll: boolean;
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
  #next: Promise<void> | undefined;

  constructor(source: ChangeSource<Change>, events: ChangeWatchEvents<Change>, options: ChangeWatchOptions) {
    this.#source = source;
    this.#events = events;
    this.#now = options.now;
    this.#maxStalenessMs = options.maxStalenessMs ?? maxStalenessMs;
    this.#tellsAll = options.tellsAll ?? false;
    this.#stop = source.onChange((change) => {
      if (change !== undefined) return this.#events.changed(change);
      this.#isDirty = true;
      this.look().catch(() => undefined);
    });
  }

  /** Whether what was told is recent enough to answer a request from. No waiting, and mostly no I/O. */
  isCurrent(now: number): boolean {
    if (isPast(now, this.#markerReadAt, markerIntervalMs)) this.#readMarker(now);
    if (this.#maxStalenessMs === 0) return false;
    return !this.#isDirty && !isPast(now, this.#checkedAt, this.#maxStalenessMs + 1);
  }

  /** Whether the store was out of reach at the last look: waiting for the next one would only delay a request. */
  get isFailing(): boolean {
    return this.#failedAt !== undefined;
  }

  /** When the store was last known to have been told whole, in milliseconds since the epoch; 0 for never. */
  get checkedAt(): number {
    return this.#checkedAt;
  }

  /** Looks when the last look is half as old as it may be, so that a request hardly ever has to wait for one. */
  poll(): void {
    const now = this.#now();
    if (this.#failedAt !== undefined && !isPast(now, this.#failedAt, retryAfterFailureMs)) return;
    if (!this.isCurrent(now) || isPast(now, this.#checkedAt, this.#maxStalenessMs / 2))
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

  /** A look that starts now or later: one that is under way may have passed what just changed. */
  async lookAnew(): Promise<void> {
    if (this.#look === undefined) return this.look();
    this.#next ??= this.#look
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.look();
      });
    return this.#next;
  }

  /** Resolves when no look is under way any more: one that meets a store that was closed would tell of an outage. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stop();
    await this.#look?.catch(() => undefined);
  }

  #readMarker(now: number): void {
    this.#markerReadAt = now;
    try {
      const marker = this.#source.readMarker();
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
      this.#marker = this.#source.readMarker();
      await this.#tellChanges(await this.#source.loadRevision());
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
      this.#revision = this.#tellsAll ? 0 : latest;
    }
    while (this.#revision < latest) {
      const changes = await this.#source.listChanges(this.#revision, maxChangesPerLook);
      for (const change of changes) this.#events.changed(change);
      this.#revision = changes.length < maxChangesPerLook ? latest : (changes.at(-1)?.revision ?? latest);
    }
  }
}

/** Also when the clock was set back: better one look too many than none until the clock has caught up. */
function isPast(now: number, since: number, intervalMs: number): boolean {
  return now - since >= intervalMs || now < since;
}
