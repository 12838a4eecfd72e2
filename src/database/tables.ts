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

/**
 * The one row of `mcp_api_key_revision`, and of `mcp_revocation_revision`: every change takes the next number, and with
 * it this row's lock.
 */
export interface RevisionRow {
  id: number;
  revision: number;
}

/** One row of `mcp_user`. */
export interface UserRow {
  id: string;
  issuer: string;
  subject: string;
  name: string | null;
  email: string | null;
  is_active: BooleanColumn;
  password_hash: string | null;
  created_at: number;
}

/** One row of `mcp_membership`. */
export interface MembershipRow {
  user_id: string;
  tenant_id: string;
  role: string;
  /** A JSON array of strings. */
  scopes: string;
  is_active: BooleanColumn;
  created_at: number;
}

/** One row of `mcp_signing_key`. */
export interface SigningKeyRow {
  id: string;
  /** Each key's is one more than that of the key before it: two cannot be the next one. */
  position: number;
  public_jwk: string;
  sealed_private_jwk: string;
  created_at: number;
  active_at: number;
  retired_at: number | null;
}

/** One row of `mcp_token_family`. */
export interface TokenFamilyRow {
  id: string;
  user_id: string;
  tenant_id: string;
  /** A JSON array of strings. */
  scopes: string;
  started_at: number;
  ends_at: number;
  latest_id: string;
  revoked_at: number | null;
}

/** One row of `mcp_token_succession`: a token of a family that has its successor, and since when. */
export interface TokenSuccessionRow {
  family_id: string;
  token_id: string;
  succeeded_at: number;
}

/** One row of `mcp_revocation`. */
export interface RevocationRow {
  /** A `RevocationKind`. */
  kind: string;
  name: string;
  revoked_at: number;
  expires_at: number;
  revision: number;
}

/** One row of `mcp_oauth_record`. */
export interface OauthRecordRow {
  model: string;
  id_hash: string;
  sealed_payload: string;
  grant_id: string | null;
  uid: string | null;
  user_code: string | null;
  consumed_at: number | null;
  expires_at: number | null;
}

/** One row of `mcp_oauth_client`. */
export interface OauthClientRow {
  id: string;
  metadata: string;
  fingerprint: string;
  created_at: number;
  last_used_at: number;
}

/** One row of `mcp_service_client`. */
export interface ServiceClientRow {
  id: string;
  tenant_id: string;
  name: string;
  role: string;
  /** A JSON array of strings. */
  scopes: string;
  /** `ClientKeys` as JSON text. */
  keys: string;
  created_at: number;
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
  mcp_api_key_revision: RevisionRow;
  mcp_user: UserRow;
  mcp_membership: MembershipRow;
  mcp_signing_key: SigningKeyRow;
  mcp_token_family: TokenFamilyRow;
  mcp_token_succession: TokenSuccessionRow;
  mcp_revocation: RevocationRow;
  mcp_revocation_revision: RevisionRow;
  mcp_oauth_record: OauthRecordRow;
  mcp_oauth_client: OauthClientRow;
  mcp_service_client: ServiceClientRow;
  mcp_migration: MigrationRow;
}
