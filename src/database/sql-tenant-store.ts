import type { ApiKey } from '../auth/api-key.ts';
import type { NewApiKey, PagePosition } from '../auth/api-key-store.ts';
import type { FirstRunStore } from '../auth/first-run.ts';
import type { Tenant, TenantStore } from '../auth/tenant-store.ts';
import { runQuery } from './database-error.ts';
import type { Database } from './open-database.ts';
import { insertApiKey, isAfter } from './sql-api-key-store.ts';
import type { TenantRow } from './tables.ts';
import { takeRevision } from './take-revision.ts';

/** Tenants in SQLite or PostgreSQL, and the first of them together with its key. */
export class SqlTenantStore implements TenantStore, FirstRunStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async insert(tenant: Tenant): Promise<boolean> {
    const inserted = await runQuery(() =>
      this.#database.kysely
        .insertInto('mcp_tenant')
        .values(toRow(tenant))
        .onConflict((conflict) => conflict.column('id').doNothing())
        .returning('id')
        .executeTakeFirst(),
    );
    return inserted !== undefined;
  }

  async findById(id: string): Promise<Tenant | undefined> {
    const row = await runQuery(() =>
      this.#database.kysely.selectFrom('mcp_tenant').selectAll().where('id', '=', id).executeTakeFirst(),
    );
    return row && toTenant(row);
  }

  async findByName(name: string, limit: number): Promise<readonly Tenant[]> {
    const query = this.#database.kysely.selectFrom('mcp_tenant').selectAll().where('name', '=', name);
    const rows = await runQuery(() => query.orderBy('created_at').orderBy('id').limit(limit).execute());
    return rows.map(toTenant);
  }

  async list(limit: number, after?: PagePosition): Promise<readonly Tenant[]> {
    let query = this.#database.kysely.selectFrom('mcp_tenant').selectAll();
    if (after !== undefined) query = query.where(isAfter(after));
    const rows = await runQuery(() => query.orderBy('created_at').orderBy('id').limit(limit).execute());
    return rows.map(toTenant);
  }

  async insertFirst(tenant: Tenant, key: NewApiKey, hash: string): Promise<ApiKey | undefined> {
    if ((await this.list(1)).length > 0) return undefined;
    return runQuery(() =>
      this.#database.kysely.transaction().execute(async (transaction) => {
        // Taken for its lock: the next starter looks for a tenant only when this transaction is over.
        await takeRevision(transaction, this.#database.kind, 'mcp_api_key');
        const existing = await transaction.selectFrom('mcp_tenant').select('id').limit(1).executeTakeFirst();
        if (existing !== undefined) return undefined;
        await transaction.insertInto('mcp_tenant').values(toRow(tenant)).execute();
        return insertApiKey(transaction, this.#database.kind, key, hash);
      }),
    );
  }
}

function toRow(tenant: Tenant): TenantRow {
  return { id: tenant.id, name: tenant.name, created_at: tenant.createdAt };
}

function toTenant(row: TenantRow): Tenant {
  return { id: row.id, name: row.name, createdAt: row.created_at };
}
