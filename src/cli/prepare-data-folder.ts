import { accessSync, constants } from 'node:fs';
import { makePrivateFolder } from '../lib/private-folder.ts';
import { CommandFailure } from './command-failure.ts';

/**
 * Makes the data folder where there is none, readable for its owner only: keys' hashes and tenants' data live in it.
 *
 * @throws CommandFailure when it cannot be made or written
 */
export function prepareDataFolder(path: string): void {
  try {
    makePrivateFolder(path);
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    throw new CommandFailure(
      `The data folder ${path} cannot be written (${code}). Allow it, or choose another with DATA_DIR.`,
      { cause: error },
    );
  }
}
