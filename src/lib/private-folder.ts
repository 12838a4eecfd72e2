import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a folder where there is none, and those above it, readable for their owner only. One folder at a time, because
 * Node.js 20 never returns from a recursive `mkdir` where the system answers ENOENT for a parent that exists, as below
 * `/proc`.
 *
 * @throws the error of the system when it cannot be made
 */
export function makePrivateFolder(path: string): void {
  if (!existsSync(dirname(path))) makePrivateFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another process may make the same folder at the same time; what is there must be a folder.
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
}
