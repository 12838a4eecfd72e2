import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from 'mooring';
import {
  maxCharactersPerTenant,
  maxNotesPerTenant,
  maxTextLength,
  maxUpdateAttempts,
  maxUpdatePauseMs,
} from './limits.ts';
import type { Note, NoteSummary } from './note.ts';
import { createNoteId } from './note-id.ts';
import type { NoteStore, StoredNote } from './note-store.ts';
import { toSnippet } from './snippet.ts';
import type { TenantIndex } from './tenant-index.ts';
import { TenantIndexes } from './tenant-indexes.ts';
import { toTerms } from './words.ts';

/** What `update` changes; what is absent stays. */
export interface NoteChange {
  readonly title?: string | undefined;
  /** Replaces the text. */
  readonly text?: string | undefined;
  /** Goes to the end of the text, on a line of its own. */
  readonly append?: string | undefined;
  /** Replaces all tags. */
  readonly tags?: readonly string[] | undefined;
}

/** Which notes to list. */
export interface ListQuery {
  readonly tag?: string | undefined;
  /** Id of the last note of the page before. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** One page of notes, newest first. */
export interface NotePage {
  readonly notes: readonly NoteSummary[];
  /** Notes that match, on all pages. */
  readonly total: number;
  /** Whether another page follows. */
  readonly hasMore: boolean;
}

/** A note that a search found. */
export interface SearchHit {
  readonly note: NoteSummary;
  /** The text around the first match, on one line. */
  readonly snippet: string;
}

/** How often a tag is used. */
export interface TagCount {
  readonly tag: string;
  readonly count: number;
}

/** What notebooks stand on. */
export interface NotebookOptions {
  readonly store: NoteStore;
  readonly now?: () => number;
}

/** All tenants' notebooks. Whoever holds one tenant's notebook has no way to another's. */
export interface Notebooks {
  of(tenantId: string): Notebook;
}

/** Opens notebooks on a store. */
export function createNotebooks({ store, now = Date.now }: NotebookOptions): Notebooks {
  const indexes = new TenantIndexes(store);
  return { of: (tenantId) => new Notebook({ store, indexes, now, tenantId }) };
}

interface NotebookParts {
  readonly store: NoteStore;
  readonly indexes: TenantIndexes;
  readonly now: () => number;
  readonly tenantId: string;
}

/** One tenant's notes. Failures a model can act on are `ToolError`s. */
export class Notebook {
  readonly #store: NoteStore;
  readonly #indexes: TenantIndexes;
  readonly #now: () => number;
  readonly #tenantId: string;

  constructor({ store, indexes, now, tenantId }: NotebookParts) {
    this.#store = store;
    this.#indexes = indexes;
    this.#now = now;
    this.#tenantId = tenantId;
  }

  /** @throws ToolError when the title is empty or the notebook is full */
  async add(draft: {
    readonly title: string;
    readonly text: string;
    readonly tags: readonly string[];
  }): Promise<Note> {
    const index = await this.#index();
    if (index.list().length >= maxNotesPerTenant) {
      throw new ToolError(`The notebook is full: it holds ${maxNotesPerTenant} notes. Delete some first.`);
    }
    checkRoom(index, draft.title.length + draft.text.length);
    const createdAt = this.#timestamp();
    const note: Note = {
      id: createNoteId(this.#now()),
      title: toLine(draft.title),
      text: draft.text,
      tags: toDistinct(draft.tags),
      createdAt,
      updatedAt: createdAt,
      version: 1,
    };
    await this.#store.create(this.#tenantId, note);
    return note;
  }

  /** The note as it is now; `undefined` when there is none. */
  async find(id: string): Promise<StoredNote | undefined> {
    return this.#store.read(this.#tenantId, id);
  }

  /** @throws ToolError when there is no such note */
  async read(id: string): Promise<StoredNote> {
    const stored = await this.find(id);
    if (stored === undefined)
      throw new ToolError(`There is no note ${JSON.stringify(id)}. It may have been deleted.`);
    return stored;
  }

  /**
   * Changes a note. A concurrent change is never lost: this one is then made again, on top of it.
   *
   * @param expectedVersion changes nothing unless this is the note's version
   * @throws ToolError no such note; another version than expected; too long; no room
   */
  async update(id: string, change: NoteChange, expectedVersion?: number): Promise<Note> {
    const index = await this.#index();
    for (let attempt = 1; attempt <= maxUpdateAttempts; attempt += 1) {
      const { note, etag } = await this.read(id);
      if (expectedVersion !== undefined) checkVersion(note, expectedVersion);
      const changed = this.#applyChange(note, change);
      checkRoom(index, changed.title.length + changed.text.length - note.title.length - note.text.length);
      if ((await this.#store.replace(this.#tenantId, etag, changed)) !== undefined) return changed;
      await sleep(Math.random() * Math.min(attempt, maxUpdatePauseMs));
    }
    throw new ToolError(
      `Note ${id} is being changed by too many writers at once. Nothing was changed; try again.`,
    );
  }

  /** Removes exactly this version of a note; `false` when it was changed or removed meanwhile. */
  remove({ note, etag }: StoredNote): Promise<boolean> {
    return this.#store.remove(this.#tenantId, note.id, etag);
  }

  async list({ tag, after, limit }: ListQuery): Promise<NotePage> {
    const index = await this.#index();
    const notes = index.list().filter(({ tags }) => tag === undefined || tags.includes(tag));
    const rest = after === undefined ? notes : notes.filter(({ id }) => id < after);
    return { notes: rest.slice(0, limit), total: notes.length, hasMore: rest.length > limit };
  }

  /**
   * Finds the notes that hold every word of the query, in the title, the text or a tag, whatever their case and
   * accents; the last word may be unfinished. Best first.
   *
   * @throws ToolError when the query has no word
   */
  async search(
    query: string,
    { tag, limit }: { readonly tag?: string | undefined; readonly limit: number },
  ): Promise<{ readonly hits: readonly SearchHit[]; readonly total: number }> {
    const terms = toTerms(query);
    if (terms.length === 0) throw new ToolError('The query has no word to search for. Give at least one.');
    const index = await this.#index();
    const found = index
      .search(query)
      .filter(({ summary }) => tag === undefined || summary.tags.includes(tag));
    const hits = await Promise.all(
      found.slice(0, limit).map(async ({ summary, etag }) => {
        const note = await this.#store.readVersion(this.#tenantId, summary.id, etag);
        return { note: summary, snippet: toSnippet(note?.text ?? '', terms) };
      }),
    );
    return { hits, total: found.length };
  }

  /** Every tag in use, the most used first. */
  async tags(): Promise<readonly TagCount[]> {
    const counts = new Map<string, number>();
    for (const { tags } of (await this.#index()).list()) {
      for (const tag of tags) counts.set(tag, (counts.get(tag) ?? 0) + 1);
    }
    return Array.from(counts, ([tag, count]) => ({ tag, count })).sort(
      (one, other) => other.count - one.count || (one.tag < other.tag ? -1 : 1),
    );
  }

  #index(): Promise<TenantIndex> {
    return this.#indexes.load(this.#tenantId);
  }

  #applyChange(note: Note, { title, text = note.text, append, tags = note.tags }: NoteChange): Note {
    const newText =
      append === undefined ? text : `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${append}`;
    if (newText.length > maxTextLength) {
      throw new ToolError(
        `The text would be ${newText.length} characters long; a note holds ${maxTextLength}.`,
      );
    }
    return {
      ...note,
      title: title === undefined ? note.title : toLine(title),
      text: newText,
      tags: toDistinct(tags),
      updatedAt: this.#timestamp(),
      version: note.version + 1,
    };
  }

  #timestamp(): string {
    return new Date(this.#now()).toISOString();
  }
}

function checkVersion(note: Note, expectedVersion: number): void {
  if (note.version === expectedVersion) return;
  throw new ToolError(
    `Note ${note.id} is at version ${note.version} now, not ${expectedVersion}: someone changed it. ` +
      'Nothing was changed. Read it again and decide anew.',
  );
}

function checkRoom(index: TenantIndex, addedCharacters: number): void {
  if (addedCharacters <= 0 || index.characters + addedCharacters <= maxCharactersPerTenant) return;
  throw new ToolError(
    `The notebook is full: its notes hold ${maxCharactersPerTenant} characters. Delete or shorten some first.`,
  );
}

function toDistinct(tags: readonly string[]): readonly string[] {
  return Array.from(new Set(tags));
}

/** A title is shown in lists and questions: one line, without control characters. */
function toLine(title: string): string {
  const line = title.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim();
  if (line === '') throw new ToolError('The title is empty. Give it at least one visible character.');
  return line;
}
