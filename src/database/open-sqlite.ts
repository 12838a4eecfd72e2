import { closeSync, existsSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Kysely } from 'kysely';
import Libsql from 'libsql';
import { ConfigError } from '../errors.ts';
import { makePrivateFolder } from '../lib/private-folder.ts';
import { runQuery } from './database-error.ts';
import { migrate } from './migrate.ts';
import type { Database } from './open-database.ts';
import { retryWhileBusy, SqliteDialect } from './sqlite-dialect.ts';
import type { Tables } from './tables.ts';

const inMemory = ':memory:';

/** Opens a SQLite file for several processes at once: write-ahead log, foreign keys, durable commits. */
export async function openSqlite(path: string): Promise<Database> {
  const file = path === inMemory ? path : resolve(path);
  const connection = await connect(file);
  const kysely = new Kysely<Tables>({ dialect: new SqliteDialect(connection) });
  try {
    await migrate(kysely, 'sqlite');
  } catch (error) {
    await kysely.destroy();
    throw toConfigError(file, error);
  }
  const marker = connection.prepare('PRAGMA data_version').raw(true);
  return {
    kind: 'sqlite',
    kysely,
    // A row of one number, as the pragma is defined.
    readMarker: () => (marker.get([]) as [number])[0],
    listen: () => () => undefined,
    check: async () => {
      await runQuery(() => kysely.selectFrom('mcp_api_key_revision').select('revision').execute());
    },
    close: () => kysely.destroy(),
  };
}

async function connect(file: string): Promise<Libsql.Database> {
  try {
    if (file !== inMemory) createPrivately(file);
    const connection = new Libsql(file);
    try {
      await retryWhileBusy(() => connection.exec('pragma journal_mode = WAL'));
      connection.exec('pragma foreign_keys = ON');
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  } catch (error) {
    throw toConfigError(file, error);
  }
}

/** The file holds hashes of keys and names of customers: nobody else on the machine reads it. */
function createPrivately(file: string): void {
  makePrivateFolder(dirname(file));
  // Never opened when it exists: closing it would drop the locks that another connection of this process holds.
  if (!existsSync(file)) closeSync(openSync(file, 'a', 0o600));
}

function toConfigError(file: string, error: unknown): unknown {
  const reason = toReason(error);
  if (reason === undefined) return error;
  return new ConfigError([{ setting: 'DATA_DIR', problem: `cannot use ${file}: ${reason}` }]);
}

function toReason(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = 'code' in error ? String(error.code) : '';
  if (code === 'EACCES' || code === 'EPERM')
    return 'permission denied; make its folder writable or choose another';
  if (code === 'EROFS' || code.startsWith('SQLITE_READONLY'))
    return 'it cannot be written; make it and its folder writable';
  if (code === 'ENOTDIR' || code === 'EEXIST') return 'a part of its path is a file, not a folder';
  if (code === 'EISDIR') return 'it is a folder';
  if (code === 'ENOENT') return 'its folder cannot be made';
  if (code === 'ENOSPC' || code === 'SQLITE_FULL') return 'the disk is full';
  if (code === 'SQLITE_NOTADB') return 'it is not a SQLite database';
  if (code.startsWith('SQLITE_BUSY')) return 'another process has kept it locked';
  if (code.startsWith('SQLITE_CANTOPEN') || error.message.includes('Unable to open'))
    return 'it cannot be opened';
  return undefined;
}
