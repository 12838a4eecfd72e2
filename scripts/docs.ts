/** Writes the generated pages of `docs/reference`; with `--check` only says which are stale, and fails if any is. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { checkReference, renderReferencePages } from './docs/reference-pages.ts';

const root = process.cwd();
const stale = checkReference(root);

if (process.argv.includes('--check')) {
  for (const { at, problem } of stale) console.error(`${at} ${problem}`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  for (const [path, text] of renderReferencePages()) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  console.log(stale.length === 0 ? 'Every page was fresh.' : stale.map(({ at }) => `wrote ${at}`).join('\n'));
}
