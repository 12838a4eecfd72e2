import { sql, type Transaction } from 'kysely';
import type { Database } from './open-database.ts';
import type { Tables } from './tables.ts';

/**
 * The next number in the order of a table's changes; other instances are told that there was one, on the channel of the
 * table's name. It locks the counter until the transaction ends, so that numbers become visible in their order and a
 * reader that asks for later ones misses none.
 */
export async function takeRevision(
  transaction: Transaction<Tables>,
  kind: Database['kind'],
  table: 'mcp_api_key' | 'mcp_revocation',
): Promise<number> {
  if (kind === 'postgres') await sql`select pg_notify(${table}, '')`.execute(transaction);
  const { rows } = await sql<{ readonly revision: number }>`
    update ${sql.table(`${table}_revision`)} set revision = revision + 1 returning revision`.execute(
    transaction,
  );
  const [counter] = rows;
  if (counter === undefined) throw new Error(`${table}_revision has lost its row`);
  return counter.revision;
}
