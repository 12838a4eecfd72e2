import type { Revocation, RevocationEvent, RevocationStore } from './revocation-store.ts';

const maxEntries = 200_000;

/** Revocations of one process, which end with it. Bounded: past that the oldest change goes first. */
export class MemoryRevocationStore implements RevocationStore {
  readonly #entries = new Map<string, Revocation>();
  readonly #listeners = new Set<(event: RevocationEvent) => void>();
  #revision = 0;

  insert(given: Omit<Revocation, 'revision'>): Promise<Revocation> {
    const key = `${given.kind}:${given.name}`;
    const known = this.#entries.get(key);
    this.#revision += 1;
    const revocation = {
      ...given,
      revokedAt: Math.max(given.revokedAt, known?.revokedAt ?? 0),
      expiresAt: Math.max(given.expiresAt, known?.expiresAt ?? 0),
      revision: this.#revision,
    };
    // The order of the map is that of the changes.
    this.#entries.delete(key);
    const [oldest] = this.#entries.keys();
    if (this.#entries.size >= maxEntries && oldest !== undefined) this.#entries.delete(oldest);
    this.#entries.set(key, revocation);
    for (const listener of this.#listeners) listener({ kind: 'changed', revocation });
    return Promise.resolve(revocation);
  }

  loadRevision(): Promise<number> {
    return Promise.resolve(this.#revision);
  }

  listChanges(revision: number, limit: number): Promise<readonly Revocation[]> {
    const changes = [...this.#entries.values()].filter((each) => each.revision > revision);
    return Promise.resolve(changes.slice(0, limit));
  }

  readMarker(): undefined {
    return undefined;
  }

  onChange(listener: (event: RevocationEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  removeExpired(now: number): Promise<number> {
    const expired = [...this.#entries].filter(([, { expiresAt }]) => now >= expiresAt);
    for (const [key] of expired) this.#entries.delete(key);
    return Promise.resolve(expired.length);
  }
}
