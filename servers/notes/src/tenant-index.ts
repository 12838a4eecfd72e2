import MiniSearch from 'minisearch';
import { indexReadConcurrency } from './limits.ts';
import type { Note, NoteSummary } from './note.ts';
import { toSummary } from './note.ts';
import type { NoteListing, NoteStore } from './note-store.ts';
import { DamagedNoteError } from './note-store.ts';
import { toTerms } from './words.ts';

interface Entry {
  readonly summary: NoteSummary;
  readonly etag: string;
  /** Of title and text. */
  readonly characters: number;
}

/**
 * One tenant's notes in memory: everything but their texts, and a full-text index.
 *
 * It follows the store: `refresh` compares the store's listing with what it has read and reads what differs, so it
 * is right whichever process wrote.
 */
export class TenantIndex {
  readonly #store: NoteStore;
  readonly #tenantId: string;
  readonly #entries: Map<string, Entry> = new Map();
  /** Versions that are no notes: left out, and not read again. */
  readonly #damaged: Map<string, string> = new Map();
  readonly #search: MiniSearch<Note> = new MiniSearch<Note>({
    fields: ['title', 'text', 'tags'],
    extractField: (note, field) =>
      field === 'tags' ? note.tags.join(' ') : String(note[field as keyof Note]),
    tokenize: toTerms,
    processTerm: (term) => term,
    searchOptions: {
      combineWith: 'AND',
      boost: { title: 3, tags: 2 },
      prefix: (_term, index, terms) => index === terms.length - 1,
    },
  });
  #characters = 0;
  #newestFirst: readonly NoteSummary[] | undefined;
  #listing: NoteListing | undefined;
  #refreshing: Promise<void> = Promise.resolve();

  constructor(store: NoteStore, tenantId: string) {
    this.#store = store;
    this.#tenantId = tenantId;
  }

  /** Characters of all titles and texts. */
  get characters(): number {
    return this.#characters;
  }

  /** Brings the index to what the store holds now. Later calls wait for earlier ones, and look again. */
  refresh(): Promise<void> {
    const refreshed = this.#refreshing.then(() => this.#catchUp());
    this.#refreshing = refreshed.catch(() => undefined);
    return refreshed;
  }

  /** Every note, newest first. */
  list(): readonly NoteSummary[] {
    this.#newestFirst ??= Array.from(this.#entries.values(), ({ summary }) => summary).sort((one, other) =>
      one.id < other.id ? 1 : -1,
    );
    return this.#newestFirst;
  }

  /** The notes that hold every word of the query, the last one perhaps unfinished; best first. */
  search(query: string): { readonly summary: NoteSummary; readonly etag: string }[] {
    return this.#search.search(query).flatMap(({ id }) => this.#entries.get(String(id)) ?? []);
  }

  async #catchUp(): Promise<void> {
    const listing = await this.#store.list(this.#tenantId);
    if (listing === this.#listing) return;
    for (const id of this.#entries.keys()) if (!listing.etags.has(id)) this.#remove(id);
    for (const id of this.#damaged.keys()) if (!listing.etags.has(id)) this.#damaged.delete(id);
    const changed = Array.from(listing.etags).filter(
      ([id, etag]) => this.#entries.get(id)?.etag !== etag && this.#damaged.get(id) !== etag,
    );
    for (let start = 0; start < changed.length; start += indexReadConcurrency) {
      const batch = changed.slice(start, start + indexReadConcurrency);
      await Promise.all(batch.map(([id, etag]) => this.#load(id, etag)));
    }
    this.#listing = listing;
  }

  async #load(id: string, etag: string): Promise<void> {
    try {
      const note = await this.#store.readVersion(this.#tenantId, id, etag);
      // Replaced since it was listed: the next listing differs, and names the version to read.
      if (note !== undefined) this.#put(note, etag);
    } catch (error) {
      if (!(error instanceof DamagedNoteError)) throw error;
      this.#remove(id);
      this.#damaged.set(id, etag);
    }
  }

  #put(note: Note, etag: string): void {
    this.#remove(note.id);
    this.#damaged.delete(note.id);
    const characters = note.title.length + note.text.length;
    this.#entries.set(note.id, { summary: toSummary(note), etag, characters });
    this.#characters += characters;
    this.#search.add(note);
    this.#newestFirst = undefined;
  }

  #remove(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    this.#characters -= entry.characters;
    this.#search.discard(id);
    this.#newestFirst = undefined;
  }
}
