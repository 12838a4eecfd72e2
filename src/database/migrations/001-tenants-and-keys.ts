import type { Transaction } from 'kysely';
import type { Tables } from '../tables.ts';

/** Tenants, API keys, and the counter that orders changes of keys. */
export async function createTenantsAndKeys(transaction: Transaction<Tables>): Promise<void> {
  const { schema } = transaction;
  await schema
    .createTable('mcp_tenant')
    .addColumn('id', 'varchar(128)', (column) => column.primaryKey())
    .addColumn('name', 'varchar(100)', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .execute();
  await schema.createIndex('mcp_tenant_by_age').on('mcp_tenant').columns(['created_at', 'id']).execute();
  await schema
    .createTable('mcp_api_key')
    .addColumn('id', 'varchar(64)', (column) => column.primaryKey())
    .addColumn('tenant_id', 'varchar(128)', (column) => column.notNull().references('mcp_tenant.id'))
    .addColumn('name', 'varchar(100)', (column) => column.notNull())
    .addColumn('key_hash', 'varchar(64)', (column) => column.notNull().unique())
    .addColumn('hint', 'varchar(64)', (column) => column.notNull())
    .addColumn('scopes', 'text', (column) => column.notNull())
    .addColumn('role', 'varchar(64)', (column) => column.notNull())
    .addColumn('is_active', 'boolean', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('created_by', 'text')
    .addColumn('expires_at', 'bigint')
    .addColumn('last_used_at', 'bigint')
    .addColumn('rotated_from', 'varchar(64)', (column) => column.references('mcp_api_key.id'))
    .addColumn('grace_until', 'bigint')
    .addColumn('lineage_id', 'varchar(64)', (column) => column.notNull())
    .addColumn('revoked_at', 'bigint')
    .addColumn('revision', 'bigint', (column) => column.notNull())
    .execute();
  await schema
    .createIndex('mcp_api_key_by_tenant')
    .on('mcp_api_key')
    .columns(['tenant_id', 'created_at', 'id'])
    .execute();
  await schema.createIndex('mcp_api_key_by_revision').on('mcp_api_key').column('revision').execute();
  await schema
    .createTable('mcp_api_key_revision')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('revision', 'bigint', (column) => column.notNull())
    .execute();
  await transaction.insertInto('mcp_api_key_revision').values({ id: 1, revision: 0 }).execute();
}
