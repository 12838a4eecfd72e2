import {
  type Insertable,
  type RawBuilder,
  type Selectable,
  sql,
  type Transaction,
  type Updateable,
} from 'kysely';
import type { ApiKey } from '../auth/api-key.ts';
import type {
  ApiKeyChange,
  ApiKeyEvent,
  ApiKeyStore,
  NewApiKey,
  PagePosition,
} from '../auth/api-key-store.ts';
import { runQuery } from './database-error.ts';
import type { Database } from './open-database.ts';
import { recordLastUse } from './record-last-use.ts';
import type { ApiKeyRow, Tables } from './tables.ts';
import { takeRevision } from './take-revision.ts';

const table = 'mcp_api_key';

/** API keys in SQLite or PostgreSQL. */
export class SqlApiKeyStore implements ApiKeyStore {
  readonly #database: Database;
  readonly #listeners = new Set<(event: ApiKeyEvent) => void>();

  constructor(database: Database) {
    this.#database = database;
  }

  insert(key: NewApiKey, hash: string): Promise<ApiKey> {
    return this.#write((transaction) => insertApiKey(transaction, this.#database.kind, key, hash));
  }

  findByHash(hash: string): Promise<ApiKey | undefined> {
    return this.#findBy('key_hash', hash);
  }

  findById(id: string): Promise<ApiKey | undefined> {
    return this.#findBy('id', id);
  }

  async list(tenantId: string, limit: number, after?: PagePosition): Promise<readonly ApiKey[]> {
    let query = this.#database.kysely.selectFrom('mcp_api_key').selectAll().where('tenant_id', '=', tenantId);
    if (after !== undefined) query = query.where(isAfter(after));
    const rows = await runQuery(() => query.orderBy('created_at').orderBy('id').limit(limit).execute());
    return rows.map(toApiKey);
  }

  async count(tenantId: string, now: number): Promise<number> {
    const row = await runQuery(() =>
      this.#database.kysely
        .selectFrom('mcp_api_key')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('tenant_id', '=', tenantId)
        .where('revoked_at', 'is', null)
        .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', now)]))
        .where((where) => where.or([where('grace_until', 'is', null), where('grace_until', '>', now)]))
        .executeTakeFirstOrThrow(),
    );
    return row.count;
  }

  update(key: ApiKey, change: ApiKeyChange): Promise<ApiKey | undefined> {
    return this.#write((transaction) => this.#updateRow(transaction, key, change));
  }

  rotate(key: ApiKey, graceUntil: number, successor: NewApiKey, hash: string): Promise<ApiKey | undefined> {
    let replaced: ApiKey | undefined;
    return this.#write(
      async (transaction) => {
        replaced = await this.#updateRow(transaction, key, { graceUntil });
        return replaced && insertApiKey(transaction, this.#database.kind, successor, hash);
      },
      () => replaced,
    );
  }

  recordUse(lastUsedAt: ReadonlyMap<string, number>): Promise<void> {
    return recordLastUse(this.#database.kysely, table, lastUsedAt);
  }

  async loadRevision(): Promise<number> {
    const row = await runQuery(() =>
      this.#database.kysely.selectFrom('mcp_api_key_revision').select('revision').executeTakeFirstOrThrow(),
    );
    return row.revision;
  }

  async listChanges(revision: number, limit: number): Promise<readonly ApiKey[]> {
    const rows = await runQuery(() =>
      this.#database.kysely
        .selectFrom('mcp_api_key')
        .selectAll()
        .where('revision', '>', revision)
        .orderBy('revision')
        .limit(limit)
        .execute(),
    );
    return rows.map(toApiKey);
  }

  readMarker(): number | undefined {
    return this.#database.readMarker();
  }

  onChange(listener: (event: ApiKeyEvent) => void): () => void {
    this.#listeners.add(listener);
    const stop = this.#database.listen(table, () => listener({ kind: 'unknown' }));
    return () => {
      stop();
      this.#listeners.delete(listener);
    };
  }

  async #findBy(column: 'id' | 'key_hash', value: string): Promise<ApiKey | undefined> {
    const row = await runQuery(() =>
      this.#database.kysely
        .selectFrom('mcp_api_key')
        .selectAll()
        .where(column, '=', value)
        .executeTakeFirst(),
    );
    return row && toApiKey(row);
  }

  /** Runs a change in a transaction and, once it is committed, tells this process of the keys it touched. */
  async #write<Result extends ApiKey | undefined>(
    change: (transaction: Transaction<Tables>) => Promise<Result>,
    alsoChanged: () => ApiKey | undefined = () => undefined,
  ): Promise<Result> {
    const written = await runQuery(() => this.#database.kysely.transaction().execute(change));
    for (const key of [alsoChanged(), written]) {
      if (key !== undefined) for (const listener of this.#listeners) listener({ kind: 'changed', key });
    }
    return written;
  }

  async #updateRow(
    transaction: Transaction<Tables>,
    key: ApiKey,
    change: ApiKeyChange,
  ): Promise<ApiKey | undefined> {
    const revision = await takeRevision(transaction, this.#database.kind, table);
    const row = await transaction
      .updateTable('mcp_api_key')
      .set({ ...toColumns(change), revision })
      .where('id', '=', key.id)
      .where('revision', '=', key.revision)
      .returningAll()
      .executeTakeFirst();
    return row && toApiKey(row);
  }
}

/** Stores a key inside a transaction of another store. */
export async function insertApiKey(
  transaction: Transaction<Tables>,
  kind: Database['kind'],
  key: NewApiKey,
  hash: string,
): Promise<ApiKey> {
  const row: Insertable<ApiKeyRow> = {
    id: key.id,
    tenant_id: key.tenantId,
    name: key.name,
    key_hash: hash,
    hint: key.hint,
    scopes: JSON.stringify(key.scopes),
    role: key.role,
    is_active: key.isActive,
    created_at: key.createdAt,
    created_by: key.createdBy ?? null,
    expires_at: key.expiresAt ?? null,
    last_used_at: key.lastUsedAt ?? null,
    rotated_from: key.rotatedFrom ?? null,
    grace_until: key.graceUntil ?? null,
    lineage_id: key.lineageId,
    revoked_at: key.revokedAt ?? null,
    revision: await takeRevision(transaction, kind, table),
  };
  await transaction.insertInto('mcp_api_key').values(row).execute();
  return { ...key, revision: row.revision };
}

/** What follows a position in the order of creation. */
export function isAfter(position: PagePosition): RawBuilder<boolean> {
  return sql<boolean>`(created_at, id) > (cast(${position.createdAt} as bigint), cast(${position.id} as varchar))`;
}

function toColumns(change: ApiKeyChange): Updateable<ApiKeyRow> {
  return {
    ...(change.name !== undefined && { name: change.name }),
    ...(change.scopes !== undefined && { scopes: JSON.stringify(change.scopes) }),
    ...(change.role !== undefined && { role: change.role }),
    ...(change.isActive !== undefined && { is_active: change.isActive }),
    ...('expiresAt' in change && { expires_at: change.expiresAt ?? null }),
    ...(change.graceUntil !== undefined && { grace_until: change.graceUntil }),
    ...(change.revokedAt !== undefined && { revoked_at: change.revokedAt }),
  };
}

function toApiKey(row: Selectable<ApiKeyRow>): ApiKey {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    name: row.name,
    // Written by `insertApiKey` and `toColumns`, from a list of strings.
    scopes: JSON.parse(row.scopes) as string[],
    role: row.role,
    isActive: Boolean(row.is_active),
    lineageId: row.lineage_id,
    hint: row.hint,
    createdAt: row.created_at,
    revision: row.revision,
    ...(row.created_by !== null && { createdBy: row.created_by }),
    ...(row.expires_at !== null && { expiresAt: row.expires_at }),
    ...(row.last_used_at !== null && { lastUsedAt: row.last_used_at }),
    ...(row.rotated_from !== null && { rotatedFrom: row.rotated_from }),
    ...(row.grace_until !== null && { graceUntil: row.grace_until }),
    ...(row.revoked_at !== null && { revokedAt: row.revoked_at }),
  };
}
