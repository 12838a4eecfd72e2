import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { CommandFailure } from './command-failure.ts';

/**
 * Makes the data folder where there is none, readable for its owner only: keys' hashes and tenants' data live in it.
 *
 * @throws CommandFailure when it cannot be made or written
 */
export function prepareDataFolder(path: string): void {
  try {
    createFolder(path);
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    throw new CommandFailure(
      `The data folder ${path} cannot be written (${code}). Allow it, or choose another with DATA_DIR.`,
      { cause: error },
    );
  }
}

/**
 * One folder at a time, because Node.js 20 never returns from a recursive `mkdir` where the system answers ENOENT for
 * a parent that exists, as below `/proc`.
 */
function createFolder(path: string): void {
  if (!existsSync(dirname(path))) createFolder(dirname(path));
  mkdirIfAbsent(path);
}

/** Another process may make the same folder at the same time; what is there must be a folder. */
function mkdirIfAbsent(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
}
