import type { Note } from './note.ts';

/** Which version of each of a tenant's notes is current. */
export interface NoteListing {
  /** Note id to the etag of its current version. */
  readonly etags: ReadonlyMap<string, string>;
}

/** A note and the mark of exactly this version of it. */
export interface StoredNote {
  readonly note: Note;
  /** Opaque; never used twice. */
  readonly etag: string;
}

/**
 * Where notes live: one object per note, changed only by compare-and-swap.
 *
 * Any number of writers, in any number of processes, may use one store at once. What was acknowledged is durable; a
 * writer that dies leaves the note before its change or after it, never in between, and blocks nobody. A tenant's
 * notes are unreachable under any other tenant id.
 */
export interface NoteStore {
  /** Every note of a tenant. The same object is returned again when nothing changed since. */
  list(tenantId: string): Promise<NoteListing>;
  /**
   * The current version of a note; `undefined` when there is none.
   *
   * @throws DamagedNoteError when what is stored is lost or not a note
   */
  read(tenantId: string, id: string): Promise<StoredNote | undefined>;
  /**
   * One version of a note, as a listing names it; `undefined` when it has been replaced or removed.
   *
   * @throws DamagedNoteError when what is stored is not a note
   */
  readVersion(tenantId: string, id: string, etag: string): Promise<Note | undefined>;
  /** Adds a note under a fresh id and returns its etag. */
  create(tenantId: string, note: Note): Promise<string>;
  /** Replaces the version that `etag` marks and returns the new etag; `undefined` when another is current. */
  replace(tenantId: string, etag: string, note: Note): Promise<string | undefined>;
  /** Removes the version that `etag` marks; `false` when another is current, or none. */
  remove(tenantId: string, id: string, etag: string): Promise<boolean>;
}

/** What is stored for a note is lost or not a note: someone else changed it, or the disk did. */
export class DamagedNoteError extends Error {
  override readonly name = 'DamagedNoteError';

  constructor(place: string, cause: unknown) {
    super(`${place} is missing or no stored note. Restore it from a backup, or remove the note.`, { cause });
  }
}
