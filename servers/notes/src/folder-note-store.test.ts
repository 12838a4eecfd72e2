import { mkdtemp, readdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FolderNoteStore } from './folder-note-store.ts';
import { createNoteId } from './note-id.ts';
import { describeNoteStore, toTestNote } from './note-store.contract.ts';
import { DamagedNoteError } from './note-store.ts';

let root = '';

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'mooring-notes-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const makeFolder = (): Promise<string> => mkdtemp(join(root, 'store-'));

describeNoteStore('A folder', async (count) => {
  const folder = await makeFolder();
  return Array.from({ length: count }, () => new FolderNoteStore(folder));
});

describe('A folder of notes', () => {
  it('holds one version file and one marker for each note, whatever was replaced or lost a race', async () => {
    const folder = await makeFolder();
    const store = new FolderNoteStore(folder);
    const note = toTestNote();
    let etag = await store.create('acme', note);
    for (let version = 2; version < 6; version += 1) {
      const etags = await Promise.all([1, 2, 3].map(() => store.replace('acme', etag, { ...note, version })));
      etag = etags.find((one) => one !== undefined) ?? '';
    }
    expect(await readdir(join(folder, 'acme', 'current'))).toEqual([`${note.id}@${etag}`]);
    expect(await readdir(join(folder, 'acme', 'versions'))).toEqual([`${note.id}@${etag}.json`]);
  });

  it('returns the same listing while nothing changes, and never a stale one', async () => {
    const folder = await makeFolder();
    const store = new FolderNoteStore(folder);
    const other = new FolderNoteStore(folder);
    await store.create('acme', toTestNote());
    const past = new Date(Date.now() - 60_000);
    await utimes(join(folder, 'acme', 'current'), past, past);
    const listing = await store.list('acme');
    expect(await store.list('acme')).toBe(listing);
    await other.create('acme', toTestNote());
    expect((await store.list('acme')).etags.size).toBe(2);
  });

  it('says which file is damaged or lost, and leaves the other notes readable', async () => {
    const folder = await makeFolder();
    const store = new FolderNoteStore(folder);
    const [good, bad] = [toTestNote(), toTestNote()];
    await store.create('acme', good);
    const etag = await store.create('acme', bad);
    const path = join(folder, 'acme', 'versions', `${bad.id}@${etag}.json`);
    await writeFile(path, '{"id":');
    await expect(store.read('acme', bad.id)).rejects.toThrow(DamagedNoteError);
    await expect(store.read('acme', bad.id)).rejects.toThrow(path);
    await rename(path, `${path}.gone`);
    await expect(store.read('acme', bad.id)).rejects.toThrow(path);
    expect((await store.read('acme', good.id))?.note).toEqual(good);
  });

  it('sweeps versions that a killed writer left, but only when no writer can still publish them', async () => {
    const folder = await makeFolder();
    const note = toTestNote();
    const etag = await new FolderNoteStore(folder).create('acme', note);
    const versions = join(folder, 'acme', 'versions');
    const [old, fresh] = [`${note.id}@2-old.json`, `${note.id}@2-fresh.json`];
    for (const name of [old, fresh]) await writeFile(join(versions, name), '{');
    const past = new Date(Date.now() - 2 * 3_600_000);
    for (const name of [old, `${note.id}@${etag}.json`]) await utimes(join(versions, name), past, past);
    await new FolderNoteStore(folder).create('acme', toTestNote({ id: createNoteId(0) }));
    const names = await readdir(versions);
    expect(names).not.toContain(old);
    expect(names).toEqual(expect.arrayContaining([fresh, `${note.id}@${etag}.json`]));
  });

  it('ignores files that are none of its own', async () => {
    const folder = await makeFolder();
    const store = new FolderNoteStore(folder);
    await store.create('acme', toTestNote());
    await writeFile(join(folder, 'acme', 'current', '.DS_Store'), '');
    await writeFile(join(folder, 'acme', 'current', 'stray@file'), '');
    expect((await store.list('acme')).etags.size).toBe(1);
  });
});
