import { maxIndexedCharacters, maxTenantsInMemory } from './limits.ts';
import type { NoteStore } from './note-store.ts';
import { TenantIndex } from './tenant-index.ts';

/** The indexes of the tenants used last, within `maxIndexedCharacters` and `maxTenantsInMemory`. */
export class TenantIndexes {
  readonly #store: NoteStore;
  readonly #indexes: Map<string, TenantIndex> = new Map();

  constructor(store: NoteStore) {
    this.#store = store;
  }

  /** A tenant's index, brought up to date. */
  async load(tenantId: string): Promise<TenantIndex> {
    const index = this.#indexes.get(tenantId) ?? new TenantIndex(this.#store, tenantId);
    this.#indexes.delete(tenantId);
    this.#indexes.set(tenantId, index);
    await index.refresh();
    this.#evict(tenantId);
    return index;
  }

  /** Lets go of the longest unused ones; they are built again when needed. */
  #evict(usedTenantId: string): void {
    let characters = 0;
    for (const index of this.#indexes.values()) characters += index.characters;
    for (const [tenantId, index] of this.#indexes) {
      if (characters <= maxIndexedCharacters && this.#indexes.size <= maxTenantsInMemory) return;
      if (tenantId === usedTenantId) continue;
      this.#indexes.delete(tenantId);
      characters -= index.characters;
    }
  }
}
