import { type Kysely, type RawBuilder, sql } from 'kysely';
import { runQuery } from './database-error.ts';
import type { Tables } from './tables.ts';

/** Most rows that one statement removes: whoever has more to forget asks again. */
export const maxRowsPerRemoval = 1000;

/**
 * Removes rows that are over, at most `maxRowsPerRemoval`, so that no statement holds its locks for long.
 *
 * @param keys the columns of the table's primary key
 * @returns how many
 */
export async function removeRows(
  kysely: Kysely<Tables>,
  { table, keys, where }: { table: keyof Tables; keys: readonly string[]; where: RawBuilder<boolean> },
): Promise<number> {
  const columns = sql.join(keys.map((key) => sql.ref(key)));
  const statement = sql`
    delete from ${sql.table(table)} where (${columns}) in
      (select ${columns} from ${sql.table(table)} where ${where} limit ${sql.lit(maxRowsPerRemoval)})`;
  const { numAffectedRows } = await runQuery(() => statement.execute(kysely));
  return Number(numAffectedRows ?? 0);
}
