import { sql } from 'kysely';
import type { Succession, TokenFamily, TokenFamilyStore } from '../auth/tokens/token-family-store.ts';
import { runQuery } from './database-error.ts';
import type { Database } from './open-database.ts';
import { removeRows } from './remove-rows.ts';
import type { TokenFamilyRow } from './tables.ts';

/** Token families in SQLite or PostgreSQL. */
export class SqlTokenFamilyStore implements TokenFamilyStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async insert(family: TokenFamily): Promise<void> {
    await runQuery(() =>
      this.#database.kysely.insertInto('mcp_token_family').values(toRow(family)).execute(),
    );
  }

  async findById(id: string): Promise<TokenFamily | undefined> {
    const row = await runQuery(() =>
      this.#database.kysely
        .selectFrom('mcp_token_family')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirst(),
    );
    return row && toFamily(row);
  }

  succeed(
    familyId: string,
    step: { readonly fromId: string; readonly toId: string; readonly now: number; readonly graceMs: number },
  ): Promise<Succession> {
    const { fromId, toId, now, graceMs } = step;
    return runQuery(() =>
      this.#database.kysely.transaction().execute(async (transaction): Promise<Succession> => {
        // Of several at once, the others wait here for the first one's commit, and then find another newest token.
        const succeeded = await transaction
          .updateTable('mcp_token_family')
          .set({ latest_id: toId })
          .where('id', '=', familyId)
          .where('latest_id', '=', fromId)
          .where('revoked_at', 'is', null)
          .where('ends_at', '>', now)
          .returningAll()
          .executeTakeFirst();
        if (succeeded !== undefined) {
          await transaction
            .insertInto('mcp_token_succession')
            .values({ family_id: familyId, token_id: fromId, succeeded_at: now })
            .execute();
          return { kind: 'succeeded', family: toFamily(succeeded) };
        }
        const row = await transaction
          .selectFrom('mcp_token_family')
          .innerJoin('mcp_token_succession', 'family_id', 'id')
          .selectAll('mcp_token_family')
          .select('succeeded_at')
          .where('id', '=', familyId)
          .where('token_id', '=', fromId)
          .where('revoked_at', 'is', null)
          .where('ends_at', '>', now)
          .executeTakeFirst();
        if (row === undefined) return { kind: 'ended' };
        const kind = now - row.succeeded_at <= graceMs ? 'repeated' : 'reused';
        return { kind, family: toFamily(row) };
      }),
    );
  }

  async revoke(familyId: string, now: number): Promise<boolean> {
    const revoked = await runQuery(() =>
      this.#database.kysely
        .updateTable('mcp_token_family')
        .set({ revoked_at: now })
        .where('id', '=', familyId)
        .where('revoked_at', 'is', null)
        .where('ends_at', '>', now)
        .returning('id')
        .executeTakeFirst(),
    );
    return revoked !== undefined;
  }

  removeEnded(endedBefore: number): Promise<number> {
    return removeRows(this.#database.kysely, {
      table: 'mcp_token_family',
      keys: ['id'],
      where: sql`ends_at < ${endedBefore}`,
    });
  }
}

function toRow(family: TokenFamily): TokenFamilyRow {
  return {
    id: family.id,
    user_id: family.userId,
    tenant_id: family.tenantId,
    scopes: JSON.stringify(family.scopes),
    started_at: family.startedAt,
    ends_at: family.endsAt,
    latest_id: family.latestId,
    revoked_at: null,
  };
}

function toFamily(row: TokenFamilyRow): TokenFamily {
  return {
    id: row.id,
    userId: row.user_id,
    tenantId: row.tenant_id,
    // Written by `toRow`, from a list of strings.
    scopes: JSON.parse(row.scopes) as string[],
    startedAt: row.started_at,
    endsAt: row.ends_at,
    latestId: row.latest_id,
  };
}
