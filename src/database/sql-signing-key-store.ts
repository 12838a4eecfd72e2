import { sql } from 'kysely';
import type { SigningKeyStore, StoredSigningKey } from '../auth/tokens/signing-key-store.ts';
import { runQuery } from './database-error.ts';
import type { Database } from './open-database.ts';
import { removeRows } from './remove-rows.ts';
import type { SigningKeyRow } from './tables.ts';

/** Signing keys in SQLite or PostgreSQL. */
export class SqlSigningKeyStore implements SigningKeyStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async list(): Promise<readonly StoredSigningKey[]> {
    const rows = await runQuery(() =>
      this.#database.kysely.selectFrom('mcp_signing_key').selectAll().orderBy('position').execute(),
    );
    return rows.map(toKey);
  }

  insert(key: StoredSigningKey, newestId: string | undefined): Promise<boolean> {
    return runQuery(() =>
      this.#database.kysely.transaction().execute(async (transaction) => {
        const newest = await transaction
          .selectFrom('mcp_signing_key')
          .select(['id', 'position'])
          .orderBy('position', 'desc')
          .limit(1)
          .executeTakeFirst();
        if (newest?.id !== newestId) return false;
        const inserted = await transaction
          .insertInto('mcp_signing_key')
          .values(toRow(key, (newest?.position ?? 0) + 1))
          // Another instance that read the same newest key has taken the place.
          .onConflict((conflict) => conflict.doNothing())
          .returning('position')
          .executeTakeFirst();
        if (inserted === undefined) return false;
        await transaction
          .updateTable('mcp_signing_key')
          .set({ retired_at: key.activeAt })
          .where('position', '<', inserted.position)
          // One that was to sign until later, because its successor was to be published ahead, ends now too.
          .where((where) =>
            where.or([where('retired_at', 'is', null), where('retired_at', '>', key.activeAt)]),
          )
          .execute();
        return true;
      }),
    );
  }

  async reseal(id: string, from: string, to: string): Promise<boolean> {
    const resealed = await runQuery(() =>
      this.#database.kysely
        .updateTable('mcp_signing_key')
        .set({ sealed_private_jwk: to })
        .where('id', '=', id)
        .where('sealed_private_jwk', '=', from)
        .returning('id')
        .executeTakeFirst(),
    );
    return resealed !== undefined;
  }

  removeRetired(retiredBefore: number): Promise<number> {
    return removeRows(this.#database.kysely, {
      table: 'mcp_signing_key',
      keys: ['id'],
      where: sql`retired_at < ${retiredBefore}`,
    });
  }
}

function toRow(key: StoredSigningKey, position: number): SigningKeyRow {
  return {
    id: key.id,
    position,
    public_jwk: key.publicJwk,
    sealed_private_jwk: key.sealedPrivateJwk,
    created_at: key.createdAt,
    active_at: key.activeAt,
    retired_at: key.retiredAt ?? null,
  };
}

function toKey(row: SigningKeyRow): StoredSigningKey {
  return {
    id: row.id,
    publicJwk: row.public_jwk,
    sealedPrivateJwk: row.sealed_private_jwk,
    createdAt: row.created_at,
    activeAt: row.active_at,
    ...(row.retired_at !== null && { retiredAt: row.retired_at }),
  };
}
