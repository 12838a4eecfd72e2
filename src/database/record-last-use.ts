import { type Kysely, sql } from 'kysely';
import { runQuery } from './database-error.ts';
import type { Tables } from './tables.ts';

const maxUsesPerStatement = 1000;

/** Notes when rows were last used, by id, in as few statements as can be. Never goes back. */
export async function recordLastUse(
  kysely: Kysely<Tables>,
  table: 'mcp_api_key' | 'mcp_oauth_client',
  lastUsedAt: ReadonlyMap<string, number>,
): Promise<void> {
  const uses = [...lastUsedAt];
  for (let start = 0; start < uses.length; start += maxUsesPerStatement) {
    const batch = uses.slice(start, start + maxUsesPerStatement);
    // Typed, because PostgreSQL takes an untyped parameter in a `case` for text.
    const cases = batch.map(([id, at]) => sql`when ${id} then cast(${at} as bigint)`);
    const at = sql<number>`case id ${sql.join(cases, sql` `)} end`;
    const statement = sql`
      update ${sql.table(table)} set last_used_at = ${at}
      where id in (${sql.join(batch.map(([id]) => id))}) and (last_used_at is null or last_used_at < ${at})`;
    await runQuery(() => statement.execute(kysely));
  }
}
