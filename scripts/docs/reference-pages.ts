import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Finding } from '../tidy/repository.ts';
import { renderCliPage } from './cli-page.ts';
import { renderConfigurationPage } from './configuration-page.ts';
import { renderErrorsPage } from './errors-page.ts';

/** Every generated page: its path from the root, and its text as it should be. */
export function renderReferencePages(): ReadonlyMap<string, string> {
  return new Map([
    ['docs/reference/configuration.md', renderConfigurationPage()],
    ['docs/reference/errors.md', renderErrorsPage()],
    ['docs/reference/cli.md', renderCliPage()],
  ]);
}

/** The generated pages that do not say what the code says. */
export function checkReference(root: string): readonly Finding[] {
  return [...renderReferencePages()].flatMap(([path, text]) => {
    const file = join(root, path);
    const isFresh = existsSync(file) && readFileSync(file, 'utf8') === text;
    return isFresh ? [] : [{ at: path, problem: 'is stale: run `npm run build && npm run docs`' }];
  });
}
