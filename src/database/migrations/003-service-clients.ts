import type { Transaction } from 'kysely';
import type { Tables } from '../tables.ts';

/** Programs that call for themselves, with the public keys that they prove themselves with. */
export async function createServiceClients({ schema }: Transaction<Tables>): Promise<void> {
  await schema
    .createTable('mcp_service_client')
    .addColumn('id', 'varchar(64)', (column) => column.primaryKey())
    .addColumn('tenant_id', 'varchar(128)', (column) => column.notNull().references('mcp_tenant.id'))
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('role', 'varchar(64)', (column) => column.notNull())
    .addColumn('scopes', 'text', (column) => column.notNull())
    .addColumn('keys', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .execute();
  await schema
    .createIndex('mcp_service_client_by_age')
    .on('mcp_service_client')
    .columns(['created_at', 'id'])
    .execute();
}
