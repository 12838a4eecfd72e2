import { UpstreamError } from '../../errors.ts';
import type { Revocation, RevocationEvent, RevocationStore } from './revocation-store.ts';

/** Revocations in memory, for tests: several watchers of one of them are several instances. */
export class TestRevocationStore implements RevocationStore {
  readonly #entries = new Map<string, Revocation>();
  readonly #listeners = new Set<(event: RevocationEvent) => void>();
  #revision = 0;
  isDown = false;
  looks = 0;
  /** What other instances are told at once. Default: nothing, they have to look. */
  tells: 'nothing' | 'unknown' = 'nothing';

  insert(revocation: Omit<Revocation, 'revision'>): Promise<Revocation> {
    if (this.isDown) return Promise.reject(new UpstreamError('database', 'down'));
    this.#revision += 1;
    const stored = { ...revocation, revision: this.#revision };
    this.#entries.set(`${stored.kind}:${stored.name}`, stored);
    if (this.tells === 'unknown') for (const listener of this.#listeners) listener({ kind: 'unknown' });
    return Promise.resolve(stored);
  }

  loadRevision(): Promise<number> {
    this.looks += 1;
    if (this.isDown) return Promise.reject(new UpstreamError('database', 'down'));
    return Promise.resolve(this.#revision);
  }

  listChanges(revision: number, limit: number): Promise<readonly Revocation[]> {
    const changes = [...this.#entries.values()].filter((each) => each.revision > revision);
    return Promise.resolve(changes.toSorted((a, b) => a.revision - b.revision).slice(0, limit));
  }

  readMarker(): undefined {
    return undefined;
  }

  onChange(listener: (event: RevocationEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  removeExpired(): Promise<number> {
    return Promise.resolve(0);
  }
}
