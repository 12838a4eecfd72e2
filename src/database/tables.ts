import type { ColumnType } from 'kysely';

/** SQLite has no booleans: it is given them as 0 and 1 and returns them as such. */
type BooleanColumn = ColumnType<boolean | number, boolean, boolean>;

/** One row of `mcp_tenant`. */
export interface TenantRow {
  id: string;
  name: string;
  created_at: number;
}

/** One row of `mcp_api_key`. Times are milliseconds since the epoch. */
export interface ApiKeyRow {
  id: string;
  tenant_id: string;
  name: string;
  /** SHA-256 of the whole key, in hexadecimal. */
  key_hash: string;
  hint: string;
  /** A JSON array of strings. */
  scopes: string;
  role: string;
  is_active: BooleanColumn;
  created_at: number;
  created_by: string | null;
  expires_at: number | null;
  last_used_at: number | null;
  rotated_from: string | null;
  grace_until: number | null;
  lineage_id: string;
  revoked_at: number | null;
  revision: number;
}

/** The one row of `mcp_api_key_revision`: every change of a key takes the next number, and with it this row's lock. */
export interface ApiKeyRevisionRow {
  id: number;
  revision: number;
}

/** One row of `mcp_migration`. */
export interface MigrationRow {
  name: string;
  applied_at: number;
}

/** The schema as kysely sees it, in both databases. */
export interface Tables {
  mcp_tenant: TenantRow;
  mcp_api_key: ApiKeyRow;
  mcp_api_key_revision: ApiKeyRevisionRow;
  mcp_migration: MigrationRow;
}
