import type { Transaction } from 'kysely';
import type { Tables } from '../tables.ts';

/** Users and what they are in tenants, signing keys, token families, revocations, and the authorization server's memory. */
export async function createSignIn(transaction: Transaction<Tables>): Promise<void> {
  await createUsers(transaction);
  await createTokens(transaction);
  await createRevocations(transaction);
  await createOauth(transaction);
}

async function createUsers({ schema }: Transaction<Tables>): Promise<void> {
  await schema
    .createTable('mcp_user')
    .addColumn('id', 'varchar(64)', (column) => column.primaryKey())
    .addColumn('issuer', 'varchar(512)', (column) => column.notNull())
    .addColumn('subject', 'varchar(255)', (column) => column.notNull())
    .addColumn('name', 'text')
    .addColumn('email', 'text')
    .addColumn('is_active', 'boolean', (column) => column.notNull())
    .addColumn('password_hash', 'text')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addUniqueConstraint('mcp_user_identity', ['issuer', 'subject'])
    .execute();
  await schema.createIndex('mcp_user_by_age').on('mcp_user').columns(['created_at', 'id']).execute();
  await schema
    .createTable('mcp_membership')
    .addColumn('user_id', 'varchar(64)', (column) => column.notNull().references('mcp_user.id'))
    .addColumn('tenant_id', 'varchar(128)', (column) => column.notNull().references('mcp_tenant.id'))
    .addColumn('role', 'varchar(64)', (column) => column.notNull())
    .addColumn('scopes', 'text', (column) => column.notNull())
    .addColumn('is_active', 'boolean', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('mcp_membership_key', ['user_id', 'tenant_id'])
    .execute();
}

async function createTokens({ schema }: Transaction<Tables>): Promise<void> {
  await schema
    .createTable('mcp_signing_key')
    .addColumn('id', 'varchar(64)', (column) => column.primaryKey())
    .addColumn('position', 'integer', (column) => column.notNull().unique())
    .addColumn('public_jwk', 'text', (column) => column.notNull())
    .addColumn('sealed_private_jwk', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('active_at', 'bigint', (column) => column.notNull())
    .addColumn('retired_at', 'bigint')
    .execute();
  await schema
    .createTable('mcp_token_family')
    .addColumn('id', 'varchar(64)', (column) => column.primaryKey())
    .addColumn('user_id', 'varchar(64)', (column) => column.notNull())
    .addColumn('tenant_id', 'varchar(128)', (column) => column.notNull())
    .addColumn('scopes', 'text', (column) => column.notNull())
    .addColumn('started_at', 'bigint', (column) => column.notNull())
    .addColumn('ends_at', 'bigint', (column) => column.notNull())
    .addColumn('latest_id', 'varchar(64)', (column) => column.notNull())
    .addColumn('revoked_at', 'bigint')
    .execute();
  await schema.createIndex('mcp_token_family_by_end').on('mcp_token_family').column('ends_at').execute();
  await schema
    .createTable('mcp_token_succession')
    .addColumn('family_id', 'varchar(64)', (column) =>
      column.notNull().references('mcp_token_family.id').onDelete('cascade'),
    )
    .addColumn('token_id', 'varchar(64)', (column) => column.notNull())
    .addColumn('succeeded_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('mcp_token_succession_key', ['family_id', 'token_id'])
    .execute();
}

async function createRevocations(transaction: Transaction<Tables>): Promise<void> {
  const { schema } = transaction;
  await schema
    .createTable('mcp_revocation')
    .addColumn('kind', 'varchar(16)', (column) => column.notNull())
    .addColumn('name', 'varchar(512)', (column) => column.notNull())
    .addColumn('revoked_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .addColumn('revision', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('mcp_revocation_key', ['kind', 'name'])
    .execute();
  await schema.createIndex('mcp_revocation_by_revision').on('mcp_revocation').column('revision').execute();
  await schema.createIndex('mcp_revocation_by_expiry').on('mcp_revocation').column('expires_at').execute();
  await schema
    .createTable('mcp_revocation_revision')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('revision', 'bigint', (column) => column.notNull())
    .execute();
  await transaction.insertInto('mcp_revocation_revision').values({ id: 1, revision: 0 }).execute();
}

async function createOauth({ schema }: Transaction<Tables>): Promise<void> {
  await schema
    .createTable('mcp_oauth_record')
    .addColumn('model', 'varchar(64)', (column) => column.notNull())
    .addColumn('id_hash', 'varchar(64)', (column) => column.notNull())
    .addColumn('sealed_payload', 'text', (column) => column.notNull())
    .addColumn('grant_id', 'varchar(128)')
    .addColumn('uid', 'varchar(128)')
    .addColumn('user_code', 'varchar(128)')
    .addColumn('consumed_at', 'bigint')
    .addColumn('expires_at', 'bigint')
    .addPrimaryKeyConstraint('mcp_oauth_record_key', ['model', 'id_hash'])
    .execute();
  await schema.createIndex('mcp_oauth_record_by_grant').on('mcp_oauth_record').column('grant_id').execute();
  await schema.createIndex('mcp_oauth_record_by_uid').on('mcp_oauth_record').column('uid').execute();
  await schema
    .createIndex('mcp_oauth_record_by_expiry')
    .on('mcp_oauth_record')
    .column('expires_at')
    .execute();
  await schema
    .createTable('mcp_oauth_client')
    .addColumn('id', 'varchar(128)', (column) => column.primaryKey())
    .addColumn('metadata', 'text', (column) => column.notNull())
    .addColumn('fingerprint', 'varchar(64)', (column) => column.notNull().unique())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('last_used_at', 'bigint', (column) => column.notNull())
    .execute();
  await schema.createIndex('mcp_oauth_client_by_use').on('mcp_oauth_client').column('last_used_at').execute();
}
