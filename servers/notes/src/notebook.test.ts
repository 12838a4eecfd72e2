import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FolderNoteStore } from './folder-note-store.ts';
import { maxTextLength } from './limits.ts';
import type { Notebook } from './notebook.ts';
import { createNotebooks } from './notebook.ts';

let root = '';

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'mooring-notebook-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Two tenants' notebooks, and the first tenant's as a second process would hold it. */
async function openNotebooks(): Promise<{ acme: Notebook; sameAcme: Notebook; umbrella: Notebook }> {
  const folder = await mkdtemp(join(root, 'store-'));
  const open = () => createNotebooks({ store: new FolderNoteStore(folder) });
  const notebooks = open();
  return { acme: notebooks.of('acme'), sameAcme: open().of('acme'), umbrella: notebooks.of('umbrella') };
}

const titlesOf = ({ hits }: Awaited<ReturnType<Notebook['search']>>): string[] =>
  hits.map(({ note }) => note.title);

describe('A notebook', () => {
  it('adds, reads, changes and removes a note', async () => {
    const { acme } = await openNotebooks();
    const added = await acme.add({ title: ' Shopping\nlist ', text: 'Milk', tags: ['home', 'home'] });
    expect(added).toMatchObject({ title: 'Shopping list', text: 'Milk', tags: ['home'], version: 1 });
    const changed = await acme.update(added.id, { append: 'Bread', tags: [] });
    expect(changed).toMatchObject({ title: 'Shopping list', text: 'Milk\nBread', tags: [], version: 2 });
    const stored = await acme.read(added.id);
    expect(stored.note).toEqual(changed);
    expect(await acme.remove(stored)).toBe(true);
    await expect(acme.read(added.id)).rejects.toThrow('There is no note');
  });

  it('is out of reach for another tenant', async () => {
    const { acme, umbrella } = await openNotebooks();
    const { id } = await acme.add({ title: 'Secret plan', text: 'secret', tags: ['secret'] });
    const stored = await acme.read(id);
    await expect(umbrella.read(id)).rejects.toThrow('There is no note');
    await expect(umbrella.update(id, { text: 'mine' })).rejects.toThrow('There is no note');
    expect(await umbrella.remove(stored)).toBe(false);
    expect((await umbrella.list({ limit: 10 })).total).toBe(0);
    expect((await umbrella.search('secret', { limit: 10 })).total).toBe(0);
    expect(await umbrella.tags()).toEqual([]);
    expect((await acme.read(id)).note.text).toBe('secret');
  });

  it('refuses a change of another version than expected, and tells the current one', async () => {
    const { acme } = await openNotebooks();
    const { id } = await acme.add({ title: 'One', text: '', tags: [] });
    await acme.update(id, { text: 'two' }, 1);
    await expect(acme.update(id, { text: 'three' }, 1)).rejects.toThrow('is at version 2 now, not 1');
    expect((await acme.read(id)).note).toMatchObject({ text: 'two', version: 2 });
  });

  it('loses no change of concurrent writers', async () => {
    const { acme, sameAcme } = await openNotebooks();
    const { id } = await acme.add({ title: 'Log', text: '', tags: [] });
    const lines = Array.from({ length: 40 }, (_, line) => `line ${line}`);
    await Promise.all(lines.map((append, line) => (line % 2 === 0 ? acme : sameAcme).update(id, { append })));
    const { note } = await acme.read(id);
    expect(note.text.split('\n').toSorted()).toEqual(lines.toSorted());
    expect(note.version).toBe(1 + lines.length);
  });

  it('refuses what does not fit, and keeps the note', async () => {
    const { acme } = await openNotebooks();
    const { id } = await acme.add({ title: 'Big', text: 'x'.repeat(maxTextLength), tags: [] });
    await expect(acme.update(id, { append: 'y' })).rejects.toThrow(`a note holds ${maxTextLength}`);
    await expect(acme.add({ title: '\u0000', text: '', tags: [] })).rejects.toThrow('title is empty');
    expect((await acme.read(id)).note.version).toBe(1);
  });

  it('lists page by page, newest first, each note once although notes come and go', async () => {
    const { acme } = await openNotebooks();
    const ids: string[] = [];
    for (let number = 0; number < 9; number += 1) {
      ids.push(
        (await acme.add({ title: `${number}`, text: '', tags: number % 3 === 0 ? ['third'] : [] })).id,
      );
    }
    ids.sort().reverse();
    const first = await acme.list({ limit: 4 });
    expect(first).toMatchObject({ total: 9, hasMore: true });
    await acme.remove(await acme.read(first.notes[3]?.id ?? ''));
    await acme.add({ title: 'new', text: '', tags: [] });
    const second = await acme.list({ limit: 10, after: first.notes[3]?.id });
    expect(second).toMatchObject({ total: 9, hasMore: false });
    expect([...first.notes, ...second.notes].map(({ id }) => id)).toEqual(ids);
    expect((await acme.list({ limit: 4, tag: 'third' })).notes.map(({ title }) => title).toSorted()).toEqual([
      '0',
      '3',
      '6',
    ]);
  });

  it('finds notes by all words, the last one unfinished, titles first', async () => {
    const { acme } = await openNotebooks();
    await acme.add({ title: 'Menu', text: 'A café serves crème brûlée on Sundays.', tags: ['food'] });
    await acme.add({ title: 'Café list', text: 'Brülée nowhere to be found', tags: ['travel'] });
    await acme.add({ title: 'Travel', text: 'Sunday trains', tags: [] });
    expect(titlesOf(await acme.search('CAFE', { limit: 9 }))).toEqual(['Café list', 'Menu']);
    expect(titlesOf(await acme.search('cafe sun', { limit: 9 }))).toEqual(['Menu']);
    expect(titlesOf(await acme.search('sun cafe', { limit: 9 }))).toEqual([]);
    expect(titlesOf(await acme.search('travel', { limit: 9 })).toSorted()).toEqual(['Café list', 'Travel']);
    expect(await acme.search('brulee', { limit: 1, tag: 'food' })).toMatchObject({
      total: 1,
      hits: [{ snippet: 'A café serves crème brûlée on Sundays.' }],
    });
    await expect(acme.search('—!', { limit: 9 })).rejects.toThrow('no word');
  });

  it('searches, lists and counts what another process wrote, changed and removed', async () => {
    const { acme, sameAcme } = await openNotebooks();
    expect((await acme.search('whale', { limit: 9 })).total).toBe(0);
    const { id } = await sameAcme.add({ title: 'Whale', text: 'grey', tags: ['sea'] });
    expect(titlesOf(await acme.search('whale', { limit: 9 }))).toEqual(['Whale']);
    await sameAcme.update(id, { title: 'Dolphin', tags: ['sea', 'fast'] });
    expect((await acme.search('whale', { limit: 9 })).total).toBe(0);
    expect(titlesOf(await acme.search('dolph', { limit: 9 }))).toEqual(['Dolphin']);
    expect(await acme.tags()).toEqual([
      { tag: 'fast', count: 1 },
      { tag: 'sea', count: 1 },
    ]);
    await sameAcme.remove(await sameAcme.read(id));
    expect((await acme.search('dolphin', { limit: 9 })).total).toBe(0);
    expect((await acme.list({ limit: 9 })).total).toBe(0);
  });
});
