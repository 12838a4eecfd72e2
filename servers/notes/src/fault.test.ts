import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FolderNoteStore } from './folder-note-store.ts';
import { maxNotesPerTenant } from './limits.ts';
import { parseNote } from './note.ts';
import { createNotebooks } from './notebook.ts';

const hammer = fileURLToPath(new URL('../dist/hammer.js', import.meta.url));
const writersAtOnce = 3;
const rounds = 4;
const longestLifeMs = 400;
let folder = '';

beforeAll(async () => {
  if (!existsSync(hammer)) throw new Error(`${hammer} is missing. Build first: npm run build`);
  folder = await mkdtemp(join(tmpdir(), 'mooring-fault-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs one writer, kills it at some moment after its first acknowledged write, and returns what it promised. */
async function runAndKill(writer: string, ids: readonly string[]): Promise<string[]> {
  const child = spawn(process.execPath, [hammer, folder, writer, ...ids], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = once(child.stdout, 'close');
  await Promise.race([once(child.stdout, 'data'), ended]);
  await sleep(Math.random() * longestLifeMs);
  child.kill('SIGKILL');
  await ended;
  const [, signal] = await exited;
  expect(signal).toBe('SIGKILL');
  return output.split('\n').slice(0, -1);
}

/** What every line of one kind promised. */
function toPromises(lines: readonly string[], kind: string): string[] {
  return lines.filter((line) => line.startsWith(`${kind} `)).map((line) => line.slice(kind.length + 1));
}

describe('Writers in several processes that are killed', () => {
  it('lose no acknowledged write, tear no file and block nobody', { timeout: 60_000 }, async () => {
    const notebook = createNotebooks({ store: new FolderNoteStore(folder) }).of('acme');
    const drafts = ['one', 'two'].map((title) => notebook.add({ title, text: '', tags: [] }));
    const ids = (await Promise.all(drafts)).map(({ id }) => id);
    const lines: string[] = [];
    const lastLines: string[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const writers = Array.from({ length: writersAtOnce }, (_, writer) =>
        runAndKill(`r${round}w${writer}`, ids),
      );
      for (const written of await Promise.all(writers)) {
        lines.push(...written);
        lastLines.push(...written.slice(-1));
      }
    }
    expect(lastLines).toHaveLength(writersAtOnce * rounds);

    for (const id of ids) {
      const { note } = await notebook.read(id);
      const appended = note.text.split('\n');
      expect(appended).toEqual(expect.arrayContaining(toPromises(lines, `appended ${id}`)));
      // One version per line, no line twice: nothing was written over, and nothing was written again.
      expect(new Set(appended).size).toBe(appended.length);
      expect(note.version).toBe(1 + appended.length);
    }

    const deleted = toPromises(lines, 'deleted');
    // Its writer may have been killed while deleting it.
    const uncertain = toPromises(lastLines, 'added');
    const kept = toPromises(lines, 'added').filter((id) => !deleted.includes(id) && !uncertain.includes(id));
    const present = (await notebook.list({ limit: maxNotesPerTenant })).notes.map(({ id }) => id);
    expect(present).toEqual(expect.arrayContaining(kept));
    expect(present.filter((id) => deleted.includes(id))).toEqual([]);

    const versions = join(folder, 'acme', 'versions');
    const current = (await readdir(join(folder, 'acme', 'current'))).map((name) => `${name}.json`);
    expect(await readdir(versions)).toEqual(expect.arrayContaining(current));
    for (const name of current) parseNote(await readFile(join(versions, name), 'utf8'));

    await Promise.all(ids.map((id) => notebook.update(id, { append: 'nobody left a lock behind' })));
  });
});
