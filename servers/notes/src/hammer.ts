/**
 * A process for the fault test: changes, adds and deletes one tenant's notes as fast as it can until it is killed.
 *
 *     node hammer.js <folder> <writer name> <note id>...
 *
 * Every line it prints is a promise: `appended <id> <line>`, `added <id>`, `deleted <id>`. It prints only once the
 * notebook has acknowledged.
 */
import { writeSync } from 'node:fs';
import { FolderNoteStore } from './folder-note-store.ts';
import { createNotebooks } from './notebook.ts';

// This is a program of its own: nobody could hand it its arguments.
// oxlint-disable-next-line no-restricted-globals
const [, , folder = '', writer = '', ...ids] = process.argv;
const notebook = createNotebooks({ store: new FolderNoteStore(folder) }).of('acme');
const stdout = 1;

for (let turn = 0; ; turn += 1) {
  const id = ids[turn % ids.length] ?? '';
  const line = `${writer}-${turn}`;
  await notebook.update(id, { append: line });
  writeSync(stdout, `appended ${id} ${line}\n`);
  if (turn % 5 !== 0) continue;
  const added = await notebook.add({ title: line, text: line, tags: [] });
  writeSync(stdout, `added ${added.id}\n`);
  if (turn % 10 !== 0) continue;
  if (await notebook.remove(await notebook.read(added.id))) writeSync(stdout, `deleted ${added.id}\n`);
}
