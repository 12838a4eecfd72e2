import { randomBytes, randomUUID } from 'node:crypto';
import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigError } from '../errors.ts';
import { makePrivateFolder } from '../lib/private-folder.ts';
import type { Config, Secrets } from './config.ts';
import { Secret } from './secret.ts';

const fileName = 'encryption.key';
const keyBytes = 32;
const keyPattern = /^[0-9a-f]{64}\n?$/i;

/**
 * The secrets, with an encryption key that outlives this process: where none is configured, the one that is kept in the
 * data folder, made when it is first asked for, readable for its owner only. What signing in keeps in the database is
 * sealed with it.
 *
 * @throws ConfigError when there is a file that is none, or the folder cannot be made or written
 */
export function keepEncryptionKey(config: Config, secrets: Secrets): Secrets {
  if (!secrets.isEncryptionKeyMade) return secrets;
  const path = join(config.storage.dataDir, fileName);
  const text = readKey(path) ?? makeKey(path);
  if (!keyPattern.test(text))
    throw new ConfigError([
      { setting: path, problem: 'is not 64 hexadecimal digits: put back the key that was there' },
    ]);
  const key = new Secret<Uint8Array>(Buffer.from(text.trim(), 'hex'));
  return Object.freeze({ ...secrets, encryptionKeys: [key] as const, isEncryptionKeyMade: false });
}

function readKey(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw toConfigError(path, error);
  }
}

/** Another process may make it at the same time: a link is made whole or not at all, and by one of them. */
function makeKey(path: string): string {
  const own = `${path}.${randomUUID()}`;
  try {
    // Made before the database is opened, which would make the folder otherwise.
    makePrivateFolder(dirname(path));
    writeFileSync(own, `${randomBytes(keyBytes).toString('hex')}\n`, { mode: 0o600, flag: 'wx' });
    try {
      linkSync(own, path);
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error;
    } finally {
      unlinkSync(own);
    }
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw toConfigError(path, error);
  }
}

function toConfigError(path: string, error: unknown): ConfigError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
  return new ConfigError([
    { setting: path, problem: `cannot be kept there (${code}): allow it, or set ENCRYPTION_KEY` },
  ]);
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
