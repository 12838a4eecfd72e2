import { describe, expect, it } from 'vitest';
import type { Note } from './note.ts';
import { createNoteId } from './note-id.ts';
import type { NoteStore } from './note-store.ts';

/** A note to store, with what matters to the test. */
export function toTestNote(parts: Partial<Note> = {}): Note {
  const createdAt = '2026-01-02T03:04:05.678Z';
  const id = parts.id ?? createNoteId(Date.now());
  return {
    id,
    title: 'Title',
    text: 'Text',
    tags: [],
    createdAt,
    updatedAt: createdAt,
    version: 1,
    ...parts,
  };
}

/**
 * What every maker of `NoteStore` keeps.
 *
 * @param openStores several stores on one fresh place, as several processes would open it
 */
export function describeNoteStore(
  name: string,
  openStores: (count: number) => Promise<readonly NoteStore[]>,
): void {
  const openStore = async (): Promise<NoteStore> => toFirst(await openStores(1));

  describe(`${name} keeps the contract of a note store:`, () => {
    it('gives back what was created, by id and by version', async () => {
      const store = await openStore();
      const note = toTestNote({ title: 'Zürich 🗒', text: 'line\n"quoted" \u0000 \ud800', tags: ['a', 'b'] });
      const etag = await store.create('acme', note);
      expect(await store.read('acme', note.id)).toEqual({ note, etag });
      expect(await store.readVersion('acme', note.id, etag)).toEqual(note);
      expect((await store.list('acme')).etags).toEqual(new Map([[note.id, etag]]));
    });

    it('knows nothing of a tenant or a note that was never written', async () => {
      const store = await openStore();
      expect((await store.list('acme')).etags.size).toBe(0);
      expect(await store.read('acme', createNoteId(0))).toBeUndefined();
      await store.create('acme', toTestNote());
      expect(await store.read('acme', createNoteId(0))).toBeUndefined();
      expect(await store.read('acme', '../acme')).toBeUndefined();
    });

    it('replaces and removes only the version that is current', async () => {
      const store = await openStore();
      const first = toTestNote();
      const second = { ...first, text: 'Second', version: 2 };
      const firstEtag = await store.create('acme', first);
      const secondEtag = await store.replace('acme', firstEtag, second);
      expect(await store.replace('acme', firstEtag, { ...first, text: 'Stale' })).toBeUndefined();
      expect(await store.remove('acme', first.id, firstEtag)).toBe(false);
      expect(await store.read('acme', first.id)).toEqual({ note: second, etag: secondEtag });
      expect(await store.readVersion('acme', first.id, firstEtag)).toBeUndefined();
    });

    it('does not bring back a note that was removed', async () => {
      const store = await openStore();
      const note = toTestNote();
      const etag = await store.create('acme', note);
      expect(await store.remove('acme', note.id, etag)).toBe(true);
      expect(await store.remove('acme', note.id, etag)).toBe(false);
      expect(await store.replace('acme', etag, { ...note, version: 2 })).toBeUndefined();
      expect(await store.read('acme', note.id)).toBeUndefined();
      expect((await store.list('acme')).etags.size).toBe(0);
    });

    it('keeps tenants apart, even with the id and the etag of a note known', async () => {
      const store = await openStore();
      const note = toTestNote();
      const etag = await store.create('acme', note);
      for (const other of ['ACME', 'acme ', 'acme/', '../acme', 'acme/../acme', 'acme\u0000', 'umbrella']) {
        expect((await store.list(other)).etags.size).toBe(0);
        expect(await store.read(other, note.id)).toBeUndefined();
        expect(await store.readVersion(other, note.id, etag)).toBeUndefined();
        expect(await store.replace(other, etag, { ...note, text: 'Stolen' })).toBeUndefined();
        expect(await store.remove(other, note.id, etag)).toBe(false);
      }
      expect(await store.read('acme', note.id)).toEqual({ note, etag });
    });

    it('lets exactly one of many writers of one version win, across stores', async () => {
      const stores = await openStores(3);
      const note = toTestNote();
      const etag = await toFirst(stores).create('acme', note);
      const writers = Array.from({ length: 12 }, (_, writer) => ({
        writer,
        store: stores[writer % 3] ?? toFirst(stores),
      }));
      const outcomes = await Promise.all(
        writers.map(async ({ writer, store }) =>
          writer % 4 === 0
            ? store.remove('acme', note.id, etag)
            : (await store.replace('acme', etag, { ...note, text: `${writer}`, version: 2 })) !== undefined,
        ),
      );
      expect(outcomes.filter(Boolean)).toHaveLength(1);
      const winner = outcomes.indexOf(true);
      const stored = await toFirst(stores).read('acme', note.id);
      expect(stored?.note.text).toBe(winner % 4 === 0 ? undefined : `${winner}`);
    });

    it('shows every store what another wrote, at once', async () => {
      const [one, other] = (await openStores(2)) as [NoteStore, NoteStore];
      const note = toTestNote();
      for (let round = 1; round <= 10; round += 1) {
        const before = await one.list('acme');
        const etag = await other.create('acme', { ...note, id: createNoteId(round) });
        const after = await one.list('acme');
        expect(after).not.toBe(before);
        expect(Array.from(after.etags.values())).toContain(etag);
        expect(after.etags.size).toBe(round);
      }
    });
  });
}

function toFirst<Item>([first]: readonly Item[]): Item {
  if (first === undefined) throw new TypeError('There must be at least one.');
  return first;
}
