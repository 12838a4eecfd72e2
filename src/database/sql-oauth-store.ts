import { sql } from 'kysely';
import type { OauthClient, OauthRecord, OauthStore } from '../auth/oauth-store.ts';
import { runQuery } from './database-error.ts';
import type { Database } from './open-database.ts';
import { recordLastUse } from './record-last-use.ts';
import { removeRows } from './remove-rows.ts';
import type { OauthClientRow, OauthRecordRow } from './tables.ts';

/** A client may be forgotten between being in the way and being read: then there is room for it. */
const maxInsertAttempts = 3;

/** What the authorization server remembers, in SQLite or PostgreSQL. */
export class SqlOauthStore implements OauthStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async upsert(record: OauthRecord): Promise<void> {
    const row = toRecordRow(record);
    await runQuery(() =>
      this.#database.kysely
        .insertInto('mcp_oauth_record')
        .values(row)
        .onConflict((conflict) => conflict.columns(['model', 'id_hash']).doUpdateSet(row))
        .execute(),
    );
  }

  async insert(record: OauthRecord): Promise<boolean> {
    const inserted = await runQuery(() =>
      this.#database.kysely
        .insertInto('mcp_oauth_record')
        .values(toRecordRow(record))
        .onConflict((conflict) => conflict.doNothing())
        .returning('id_hash')
        .executeTakeFirst(),
    );
    return inserted !== undefined;
  }

  find(model: string, idHash: string, now: number): Promise<OauthRecord | undefined> {
    return this.#findBy('id_hash', { model, value: idHash, now });
  }

  findByUid(model: string, uid: string, now: number): Promise<OauthRecord | undefined> {
    return this.#findBy('uid', { model, value: uid, now });
  }

  async consume(model: string, idHash: string, now: number): Promise<boolean> {
    const consumed = await runQuery(() =>
      this.#database.kysely
        .updateTable('mcp_oauth_record')
        .set({ consumed_at: now })
        .where('model', '=', model)
        .where('id_hash', '=', idHash)
        .where('consumed_at', 'is', null)
        .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', now)]))
        .returning('id_hash')
        .executeTakeFirst(),
    );
    return consumed !== undefined;
  }

  async remove(model: string, idHash: string): Promise<void> {
    await runQuery(() =>
      this.#database.kysely
        .deleteFrom('mcp_oauth_record')
        .where('model', '=', model)
        .where('id_hash', '=', idHash)
        .execute(),
    );
  }

  async removeByGrant(grantId: string): Promise<void> {
    await runQuery(() =>
      this.#database.kysely.deleteFrom('mcp_oauth_record').where('grant_id', '=', grantId).execute(),
    );
  }

  removeExpired(now: number): Promise<number> {
    return removeRows(this.#database.kysely, {
      table: 'mcp_oauth_record',
      keys: ['model', 'id_hash'],
      where: sql`expires_at <= ${now}`,
    });
  }

  async insertClient(client: OauthClient): Promise<OauthClient> {
    const { kysely } = this.#database;
    for (let attempt = 0; attempt < maxInsertAttempts; attempt += 1) {
      const inserted = await runQuery(() =>
        kysely
          .insertInto('mcp_oauth_client')
          .values(toClientRow(client))
          // Of any constraint: of two that insert the same one, PostgreSQL may find the id in the way first.
          .onConflict((conflict) => conflict.doNothing())
          .returningAll()
          .executeTakeFirst(),
      );
      const stored = inserted ?? (await this.#useClient(client));
      if (stored !== undefined) return toClient(stored);
    }
    throw new Error('another client has this id');
  }

  async findClient(id: string): Promise<OauthClient | undefined> {
    const row = await runQuery(() =>
      this.#database.kysely
        .selectFrom('mcp_oauth_client')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirst(),
    );
    return row && toClient(row);
  }

  recordClientUse(lastUsedAt: ReadonlyMap<string, number>): Promise<void> {
    return recordLastUse(this.#database.kysely, 'mcp_oauth_client', lastUsedAt);
  }

  removeUnusedClients(usedBefore: number): Promise<number> {
    return removeRows(this.#database.kysely, {
      table: 'mcp_oauth_client',
      keys: ['id'],
      where: sql`last_used_at < ${usedBefore}`,
    });
  }

  async #findBy(
    column: 'id_hash' | 'uid',
    { model, value, now }: { readonly model: string; readonly value: string; readonly now: number },
  ): Promise<OauthRecord | undefined> {
    const row = await runQuery(() =>
      this.#database.kysely
        .selectFrom('mcp_oauth_record')
        .selectAll()
        .where('model', '=', model)
        .where(column, '=', value)
        .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', now)]))
        .executeTakeFirst(),
    );
    return row && toRecord(row);
  }

  /** The client that registered with this fingerprint before: registering again is a use of it. */
  #useClient({ fingerprint, lastUsedAt }: OauthClient): Promise<OauthClientRow | undefined> {
    const later = sql<number>`case when last_used_at < ${lastUsedAt} then cast(${lastUsedAt} as bigint) else last_used_at end`;
    return runQuery(() =>
      this.#database.kysely
        .updateTable('mcp_oauth_client')
        .set({ last_used_at: later })
        .where('fingerprint', '=', fingerprint)
        .returningAll()
        .executeTakeFirst(),
    );
  }
}

function toRecordRow(record: OauthRecord): OauthRecordRow {
  return {
    model: record.model,
    id_hash: record.idHash,
    sealed_payload: record.sealedPayload,
    grant_id: record.grantId ?? null,
    uid: record.uid ?? null,
    user_code: record.userCode ?? null,
    consumed_at: record.consumedAt ?? null,
    expires_at: record.expiresAt ?? null,
  };
}

function toRecord(row: OauthRecordRow): OauthRecord {
  return {
    model: row.model,
    idHash: row.id_hash,
    sealedPayload: row.sealed_payload,
    ...(row.grant_id !== null && { grantId: row.grant_id }),
    ...(row.uid !== null && { uid: row.uid }),
    ...(row.user_code !== null && { userCode: row.user_code }),
    ...(row.consumed_at !== null && { consumedAt: row.consumed_at }),
    ...(row.expires_at !== null && { expiresAt: row.expires_at }),
  };
}

function toClientRow(client: OauthClient): OauthClientRow {
  return {
    id: client.id,
    metadata: client.metadata,
    fingerprint: client.fingerprint,
    created_at: client.createdAt,
    last_used_at: client.lastUsedAt,
  };
}

function toClient(row: OauthClientRow): OauthClient {
  return {
    id: row.id,
    metadata: row.metadata,
    fingerprint: row.fingerprint,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
  };
}
