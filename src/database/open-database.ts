import type { Kysely } from 'kysely';
import { openSqlite } from './open-sqlite.ts';
import type { Tables } from './tables.ts';

/** Which database to open. */
export type DatabaseTarget =
  /** @param path a file, made when absent, its folder too; `:memory:` for none */
  | { readonly kind: 'sqlite'; readonly path: string }
  /** @param url `postgres://user:password@host:port/name` */
  | { readonly kind: 'postgres'; readonly url: string };

/** An open database with its schema up to date. */
export interface Database {
  readonly kind: DatabaseTarget['kind'];
  readonly kysely: Kysely<Tables>;
  /** Differs from the last one when another connection has written; `undefined` on PostgreSQL. Microseconds. */
  readMarker(): number | undefined;
  /**
   * Calls back when another process calls `notify`, and after the connection that listens was lost. Never on
   * SQLite, which cannot push.
   *
   * @returns a function that stops the calls
   */
  listen(channel: string, listener: () => void): () => void;
  /** Resolves when the database can serve. @throws UpstreamError when it cannot */
  check(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a database and brings its schema up to date; safe when several processes do so at once.
 *
 * @throws ConfigError when the target itself is wrong: an unwritable folder, a malformed URL, a refused password
 * @throws UpstreamError when the server cannot be reached
 */
export async function openDatabase(target: DatabaseTarget): Promise<Database> {
  if (target.kind === 'sqlite') return openSqlite(target.path);
  // Loaded only where it is used: the driver is a good part of a start.
  const { openPostgres } = await import('./open-postgres.ts');
  return openPostgres(target.url);
}
