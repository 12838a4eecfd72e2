import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { ConfigError, UpstreamError } from '../errors.ts';
import { isOutage, runQuery } from './database-error.ts';
import { migrate } from './migrate.ts';
import type { Database } from './open-database.ts';
import { PostgresListener } from './postgres-listener.ts';
import { toPostgresPool } from './postgres-pool.ts';
import type { Tables } from './tables.ts';

const poolSize = 10;
const connectTimeoutMs = 5000;
const idleTimeoutMs = 30_000;
/** Kept on this side: poolers refuse a connection that sets `statement_timeout`. */
const defaultQueryTimeoutMs = 10_000;
const keepAliveDelayMs = 10_000;
const int8TypeId = 20;

/**
 * Opens a pool on a PostgreSQL server. Each wait in it has an end.
 *
 * @param queryTimeoutMs longest wait for the answer to one query. Default 10,000
 */
export async function openPostgres(
  url: string,
  queryTimeoutMs: number = defaultQueryTimeoutMs,
): Promise<Database> {
  const address = toAddress(url);
  const settings: pg.PoolConfig = {
    connectionString: url,
    application_name: 'mooring',
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: queryTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveDelayMs,
    types: { getTypeParser: toTypeParser },
  };
  const pool = new pg.Pool({ ...settings, max: poolSize, idleTimeoutMillis: idleTimeoutMs });
  const kysely = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: toPostgresPool(pool) }) });
  try {
    await migrate(kysely, 'postgres');
  } catch (error) {
    await kysely.destroy();
    throw toOpenError(address, error);
  }
  const listener = new PostgresListener(() => new pg.Client(settings));
  return {
    kind: 'postgres',
    kysely,
    readMarker: () => undefined,
    listen: (channel, callback) => listener.listen(channel, callback),
    check: async () => {
      await runQuery(() => kysely.selectFrom('mcp_api_key_revision').select('revision').execute());
    },
    close: async () => {
      await listener.close();
      await kysely.destroy();
    },
  };
}

// Milliseconds since the epoch and counters: far below 2^53. By default the driver returns them as text.
function toTypeParser(typeId: number, format?: 'text' | 'binary'): (value: string) => unknown {
  if (typeId === int8TypeId && format !== 'binary') return Number;
  // The driver types its binary and text parsers apart; which one applies is decided by `format`.
  return pg.types.getTypeParser(typeId, format as 'text') as (value: string) => unknown;
}

/** Host and port for messages, without user and password. */
function toAddress(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || (parsed.protocol !== 'postgres:' && parsed.protocol !== 'postgresql:')) {
    throw new ConfigError([
      { setting: 'DATABASE_URL', problem: 'must be a URL like postgres://user:password@host:5432/name' },
    ]);
  }
  return `${parsed.hostname || 'localhost'}:${parsed.port || '5432'}`;
}

function toOpenError(address: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const problems: Readonly<Record<string, string>> = {
    '28P01': `PostgreSQL at ${address} refused the password`,
    '28000': `PostgreSQL at ${address} refused this user`,
    '3D000': `PostgreSQL at ${address} has no database of this name; create it first`,
    '42501': `this user may not create tables in the database at ${address}`,
  };
  const problem = problems[code];
  if (problem !== undefined) return new ConfigError([{ setting: 'DATABASE_URL', problem }]);
  if (!isOutage(error)) return error;
  return new UpstreamError(
    'database',
    `Cannot reach PostgreSQL at ${address}: is it running, and may this machine connect to it?`,
    {
      cause: error,
    },
  );
}
