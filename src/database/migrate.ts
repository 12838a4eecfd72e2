/**
 * Brings the schema up to date, in one transaction, however many instances start at once.
 *
 * Not kysely's own Migrator: its lock does nothing on SQLite, it reads the whole catalogue at every start, and it
 * refuses to start an older version beside a newer one, which is what every rolling deploy and every roll-back does.
 */
import { type Kysely, sql, type Transaction } from 'kysely';
import { migrations } from './migrations/index.ts';
import type { Tables } from './tables.ts';

// Any number will do, as long as every version of Mooring uses the same one.
const postgresLockId = 7_305_804_402;

/** Applies the migrations that are missing. Steps of a newer version are left alone. */
export async function migrate(
  kysely: Kysely<Tables>,
  kind: 'sqlite' | 'postgres',
  now: () => number = Date.now,
): Promise<void> {
  // A transaction on SQLite begins with the write lock (see sqlite-dialect.ts); PostgreSQL has a lock for this.
  await kysely.transaction().execute(async (transaction) => {
    if (kind === 'postgres') await sql`select pg_advisory_xact_lock(${postgresLockId})`.execute(transaction);
    const applied = await listApplied(transaction);
    for (const { name, up } of migrations) {
      if (applied.has(name)) continue;
      await up(transaction);
      await transaction.insertInto('mcp_migration').values({ name, applied_at: now() }).execute();
    }
  });
}

async function listApplied(transaction: Transaction<Tables>): Promise<ReadonlySet<string>> {
  await transaction.schema
    .createTable('mcp_migration')
    .ifNotExists()
    .addColumn('name', 'varchar(255)', (column) => column.primaryKey())
    .addColumn('applied_at', 'bigint', (column) => column.notNull())
    .execute();
  const rows = await transaction.selectFrom('mcp_migration').select('name').execute();
  return new Set(rows.map(({ name }) => name));
}
