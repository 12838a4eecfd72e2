import { join } from 'node:path';
import { maxTenantsInMemory } from './limits.ts';
import type { Note } from './note.ts';
import { isNoteId } from './note-id.ts';
import type { NoteListing, NoteStore, StoredNote } from './note-store.ts';
import { TenantFolder } from './tenant-folder.ts';
import { toTenantFolderName } from './tenant-folder-name.ts';

/**
 * Notes as files under a folder: `<folder>/<tenant>/`, laid out as `TenantFolder` says.
 *
 * Safe for several processes on one machine. Needs a file system whose `rename` is atomic, as every local one's is.
 */
export class FolderNoteStore implements NoteStore {
  readonly #folder: string;
  readonly #now: () => number;
  readonly #tenants: Map<string, TenantFolder> = new Map();

  /** @param folder made when first written to */
  constructor(folder: string, now: () => number = Date.now) {
    this.#folder = folder;
    this.#now = now;
  }

  list(tenantId: string): Promise<NoteListing> {
    return this.#tenant(tenantId).list();
  }

  async read(tenantId: string, id: string): Promise<StoredNote | undefined> {
    return isNoteId(id) ? this.#tenant(tenantId).read(id) : undefined;
  }

  readVersion(tenantId: string, id: string, etag: string): Promise<Note | undefined> {
    return this.#tenant(tenantId).readVersion(id, etag);
  }

  create(tenantId: string, note: Note): Promise<string> {
    return this.#tenant(tenantId).create(note);
  }

  replace(tenantId: string, etag: string, note: Note): Promise<string | undefined> {
    return this.#tenant(tenantId).replace(etag, note);
  }

  remove(tenantId: string, id: string, etag: string): Promise<boolean> {
    return this.#tenant(tenantId).remove(id, etag);
  }

  /** A tenant's folder, kept for its cached listing; forgetting one costs a scan, never a note. */
  #tenant(tenantId: string): TenantFolder {
    const folder =
      this.#tenants.get(tenantId) ??
      new TenantFolder(join(this.#folder, toTenantFolderName(tenantId)), this.#now);
    this.#tenants.delete(tenantId);
    this.#tenants.set(tenantId, folder);
    if (this.#tenants.size > maxTenantsInMemory) {
      const [longestUnused] = this.#tenants.keys();
      if (longestUnused !== undefined) this.#tenants.delete(longestUnused);
    }
    return folder;
  }
}
