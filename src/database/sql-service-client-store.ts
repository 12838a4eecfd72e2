import type { PagePosition } from '../auth/api-key-store.ts';
import type { ClientKeys, ServiceClient, ServiceClientStore } from '../auth/clients/service-client-store.ts';
import { runQuery } from './database-error.ts';
import type { Database } from './open-database.ts';
import { isAfter } from './sql-api-key-store.ts';
import type { ServiceClientRow } from './tables.ts';

/** Service clients in SQLite or PostgreSQL. */
export class SqlServiceClientStore implements ServiceClientStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  insert(client: ServiceClient): Promise<boolean> {
    return runQuery(() =>
      this.#database.kysely.transaction().execute(async (transaction) => {
        const tenant = await transaction
          .selectFrom('mcp_tenant')
          .select('id')
          .where('id', '=', client.tenantId)
          .executeTakeFirst();
        if (tenant === undefined) return false;
        const inserted = await transaction
          .insertInto('mcp_service_client')
          .values(toRow(client))
          .onConflict((conflict) => conflict.doNothing())
          .returning('id')
          .executeTakeFirst();
        return inserted !== undefined;
      }),
    );
  }

  async findById(id: string): Promise<ServiceClient | undefined> {
    const row = await runQuery(() =>
      this.#database.kysely
        .selectFrom('mcp_service_client')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirst(),
    );
    return row && toServiceClient(row);
  }

  async list(
    limit: number,
    { tenantId, after }: { readonly tenantId?: string; readonly after?: PagePosition } = {},
  ): Promise<readonly ServiceClient[]> {
    let query = this.#database.kysely.selectFrom('mcp_service_client').selectAll();
    if (tenantId !== undefined) query = query.where('tenant_id', '=', tenantId);
    if (after !== undefined) query = query.where(isAfter(after));
    const rows = await runQuery(() => query.orderBy('created_at').orderBy('id').limit(limit).execute());
    return rows.map(toServiceClient);
  }

  async remove(id: string): Promise<boolean> {
    const removed = await runQuery(() =>
      this.#database.kysely
        .deleteFrom('mcp_service_client')
        .where('id', '=', id)
        .returning('id')
        .executeTakeFirst(),
    );
    return removed !== undefined;
  }
}

function toRow(client: ServiceClient): ServiceClientRow {
  return {
    id: client.id,
    tenant_id: client.tenantId,
    name: client.name,
    role: client.role,
    scopes: JSON.stringify(client.scopes),
    keys: JSON.stringify(client.keys),
    created_at: client.createdAt,
  };
}

function toServiceClient(row: ServiceClientRow): ServiceClient {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    name: row.name,
    role: row.role,
    // Written by `toRow`, both.
    scopes: JSON.parse(row.scopes) as string[],
    keys: JSON.parse(row.keys) as ClientKeys,
    createdAt: row.created_at,
  };
}
