import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The text of every file, empty for what is not text, by its path from the root with `/`, in a stable order. */
export type Repository = ReadonlyMap<string, string>;

/** One breach of a rule: where, and what to do about it. */
export interface Finding {
  /** Path, and line where it is known. */
  readonly at: string;
  readonly problem: string;
}

/** One rule: what it is called, and what it finds. */
export interface Rule {
  readonly name: string;
  check(repository: Repository): readonly Finding[];
}

const skipped: ReadonlySet<string> = new Set([
  'node_modules',
  'dist',
  'dist-tools',
  'coverage',
  'results',
  '.git',
  '.mooring',
]);
const text = /\.(?:[cm]?[jt]s|json|md|sql|ya?ml)$/;

/** Reads a checkout. */
export function loadRepository(root: string): Repository {
  const files = new Map<string, string>();
  const folders = [''];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory() && !skipped.has(entry.name)) folders.push(path);
      if (entry.isFile())
        files.set(path, text.test(entry.name) ? readFileSync(join(root, path), 'utf8') : '');
    }
  }
  return new Map([...files].toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

/** The product's own code: `src/` without tests and contract suites. */
export function listSources(repository: Repository): readonly (readonly [path: string, text: string])[] {
  return [...repository].filter(
    ([path]) => path.startsWith('src/') && path.endsWith('.ts') && !/\.(?:test|contract)\.ts$/.test(path),
  );
}

/** The line number of a position. */
export function toLine(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}
