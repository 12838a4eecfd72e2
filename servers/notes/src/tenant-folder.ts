/**
 * One tenant's notes in a folder, without locks.
 *
 *     versions/<id>@<etag>.json   what one version of a note says; written once, never changed
 *     current/<id>@<etag>         empty; its name says which version is current
 *
 * A writer first makes its new version durable, then renames `current/<id>@<old>` to `current/<id>@<new>`. Etags are
 * never used twice, so of all writers that started from <old> exactly one finds the file there: the rename is the
 * compare-and-swap. A writer that is killed leaves at most a version that nothing points to, which is swept later.
 */
import { mkdir, open, readdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { platform } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Note } from './note.ts';
import { parseNote } from './note.ts';
import { createNonce, isNoteId } from './note-id.ts';
import type { NoteListing, StoredNote } from './note-store.ts';
import { DamagedNoteError } from './note-store.ts';

/** A file system's clock may be this coarse: a folder that changed more recently may change again unseen. */
const settleMs = 2_000;
/** Scans that must agree that a note is gone; see `#confirmAbsent`. */
const absenceScans = 3;
const absencePauseMs = 2;
/** Most times that a read starts over because the note was replaced under it. */
const maxReadAttempts = 100;
/** A writer that took longer than this between writing a version and publishing it gives up. */
const publishWithinMs = 60_000;
/** Versions nothing points to are swept when older than this; far more than `publishWithinMs`. */
const sweepAfterMs = 3_600_000;
const etagNonceLength = 20;

interface CachedListing {
  readonly listing: NoteListing;
  /** The folder's modification time in nanoseconds when it was read; absent when it had not settled. */
  readonly stamp: bigint | undefined;
}

/** See the top of this file. `NoteStore` says what each method promises. */
export class TenantFolder {
  readonly #current: string;
  readonly #versions: string;
  readonly #now: () => number;
  #cached: CachedListing = { listing: { etags: new Map() }, stamp: undefined };
  #isPrepared = false;

  constructor(folder: string, now: () => number = Date.now) {
    this.#current = join(folder, 'current');
    this.#versions = join(folder, 'versions');
    this.#now = now;
  }

  async list(): Promise<NoteListing> {
    const startedAtMs = this.#now();
    const changedAt = await this.#lastChange();
    if (changedAt !== undefined && changedAt === this.#cached.stamp) return this.#cached.listing;
    const etags = await this.#scan();
    const missing = Array.from(this.#cached.listing.etags.keys()).filter((id) => !etags.has(id));
    if (missing.length > 0) await this.#confirmAbsent(missing, etags);
    const isSettled = changedAt !== undefined && startedAtMs - Number(changedAt / 1_000_000n) > settleMs;
    const listing = { etags };
    this.#cached = { listing, stamp: isSettled ? changedAt : undefined };
    return listing;
  }

  async read(id: string): Promise<StoredNote | undefined> {
    let missing: string | undefined;
    for (let attempt = 0; attempt < maxReadAttempts; attempt += 1) {
      const { etags } = await this.list();
      const etag = etags.get(id) ?? (await this.#confirmAbsent([id], new Map())).get(id);
      if (etag === undefined) return undefined;
      // Still current although its file was not there: nobody replaced it, the file is lost.
      if (etag === missing) throw new DamagedNoteError(this.#versionPath(id, etag), undefined);
      const note = await this.readVersion(id, etag);
      if (note !== undefined) return { note, etag };
      missing = etag;
    }
    throw new Error(`Note ${id} was replaced during each of ${maxReadAttempts} attempts to read it.`);
  }

  async readVersion(id: string, etag: string): Promise<Note | undefined> {
    const path = this.#versionPath(id, etag);
    const json = await readFile(path, 'utf8').catch(undefinedIfAbsent);
    if (json === undefined) return undefined;
    try {
      return parseNote(json);
    } catch (error) {
      throw new DamagedNoteError(path, error);
    }
  }

  async create(note: Note): Promise<string> {
    const etag = await this.#withNewVersion(note, async (next) => {
      await writeFile(join(this.#current, `${note.id}@${next}`), '', { flag: 'wx' });
      return true;
    });
    if (etag === undefined) throw new Error(`Note ${note.id} could not be added.`);
    return etag;
  }

  async replace(etag: string, note: Note): Promise<string | undefined> {
    const { id } = note;
    const newEtag = await this.#withNewVersion(note, (next) => this.#swap(`${id}@${etag}`, `${id}@${next}`));
    if (newEtag !== undefined) await this.#forget(id, etag);
    return newEtag;
  }

  async remove(id: string, etag: string): Promise<boolean> {
    const removed = await unlink(join(this.#current, `${id}@${etag}`)).then(() => true, undefinedIfAbsent);
    if (removed === undefined) return false;
    await syncFolder(this.#current);
    await this.#forget(id, etag);
    return true;
  }

  /** Writes a version, lets `publish` make it current, and takes it away again when that did not happen. */
  async #withNewVersion(
    note: Note,
    publish: (etag: string) => Promise<boolean>,
  ): Promise<string | undefined> {
    await this.#prepare();
    const startedAtMs = this.#now();
    const etag = `${note.version}-${createNonce(etagNonceLength)}`;
    let isPublished = false;
    try {
      await writeDurably(this.#versionPath(note.id, etag), JSON.stringify(note));
      await syncFolder(this.#versions);
      if (this.#now() - startedAtMs > publishWithinMs)
        throw new Error('Writing a note took too long; it was not saved.');
      isPublished = await publish(etag);
    } finally {
      if (!isPublished) await this.#forget(note.id, etag);
    }
    if (!isPublished) return undefined;
    await syncFolder(this.#current);
    return etag;
  }

  /** The compare-and-swap. */
  async #swap(oldName: string, newName: string): Promise<boolean> {
    const swapped = rename(join(this.#current, oldName), join(this.#current, newName));
    return (await swapped.then(() => true, undefinedIfAbsent)) ?? false;
  }

  /** A version that is left behind costs space, not truth, and is swept later: failing here would deny what was done. */
  async #forget(id: string, etag: string): Promise<void> {
    await rm(this.#versionPath(id, etag), { force: true }).catch(() => undefined);
  }

  async #scan(): Promise<Map<string, string>> {
    const names = (await readdir(this.#current).catch(undefinedIfAbsent)) ?? [];
    const etags = new Map<string, string>();
    for (const name of names) {
      const [id = '', etag] = name.split('@');
      if (isNoteId(id) && etag !== undefined) etags.set(id, etag);
    }
    return etags;
  }

  /**
   * A folder scan is not one moment: a file renamed meanwhile may be seen under neither name. So a note is held to
   * be gone only when several scans in a row miss it; what a later scan finds is added to `etags`.
   */
  async #confirmAbsent(ids: readonly string[], etags: Map<string, string>): Promise<Map<string, string>> {
    for (let scans = 1; scans < absenceScans; scans += 1) {
      const missing = ids.filter((id) => !etags.has(id));
      if (missing.length === 0) break;
      await sleep(absencePauseMs);
      const found = await this.#scan();
      for (const id of missing) {
        const etag = found.get(id);
        if (etag !== undefined) etags.set(id, etag);
      }
    }
    return etags;
  }

  async #lastChange(): Promise<bigint | undefined> {
    const stats = await stat(this.#current, { bigint: true }).catch(undefinedIfAbsent);
    return stats?.mtimeNs;
  }

  async #prepare(): Promise<void> {
    if (this.#isPrepared) return;
    await mkdir(this.#versions, { recursive: true });
    await mkdir(this.#current, { recursive: true });
    await this.#sweep();
    this.#isPrepared = true;
  }

  /** Removes what writers that died left behind. */
  async #sweep(): Promise<void> {
    const names = await readdir(this.#versions);
    const { etags } = await this.list();
    for (const name of names) {
      const [id = '', etag] = name.replace(/\.json$/, '').split('@');
      if (etags.get(id) === etag) continue;
      const path = join(this.#versions, name);
      const stats = await stat(path).catch(undefinedIfAbsent);
      if (stats !== undefined && this.#now() - stats.mtimeMs > sweepAfterMs) await rm(path, { force: true });
    }
  }

  #versionPath(id: string, etag: string): string {
    if (!isNoteId(id)) throw new TypeError('A note id must be one that createNoteId made.');
    return join(this.#versions, `${id}@${etag}.json`);
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the names in a folder durable. Windows cannot open a folder and needs no such step. */
async function syncFolder(path: string): Promise<void> {
  if (platform() === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function undefinedIfAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}
