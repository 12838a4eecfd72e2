/**
 * Tenants, API keys, users and what sign-in keeps, over one database: opened by the host and by the command line alike.
 */
import { join } from 'node:path';
import { type FirstRun, ensureFirstTenantAndKey } from './auth/first-run.ts';
import { KeyService } from './auth/key-service.ts';
import type { ApiKeyStore } from './auth/api-key-store.ts';
import type { OauthStore } from './auth/oauth-store.ts';
import type { RevocationStore } from './auth/revocation/revocation-store.ts';
import type { TenantStore } from './auth/tenant-store.ts';
import type { SigningKeyStore } from './auth/tokens/signing-key-store.ts';
import type { TokenFamilyStore } from './auth/tokens/token-family-store.ts';
import type { UserStore } from './auth/users/user-store.ts';
import type { Config, Secrets } from './config/config.ts';
import { type Database, openDatabase } from './database/open-database.ts';
import { SqlApiKeyStore } from './database/sql-api-key-store.ts';
import { SqlOauthStore } from './database/sql-oauth-store.ts';
import { SqlRevocationStore } from './database/sql-revocation-store.ts';
import { SqlSigningKeyStore } from './database/sql-signing-key-store.ts';
import { SqlTenantStore } from './database/sql-tenant-store.ts';
import { SqlTokenFamilyStore } from './database/sql-token-family-store.ts';
import { SqlUserStore } from './database/sql-user-store.ts';

/** Who may call, and who they belong to. */
export interface Identity {
  readonly keys: KeyService;
  readonly keyStore: ApiKeyStore;
  readonly tenants: TenantStore;
  readonly users: UserStore;
  readonly signingKeys: SigningKeyStore;
  readonly tokenFamilies: TokenFamilyStore;
  readonly revocations: RevocationStore;
  readonly oauth: OauthStore;
  /** Makes the first tenant and key of an empty database. */
  ensureFirst(): Promise<FirstRun | undefined>;
  /** Resolves when the database can serve. */
  check(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the database that the configuration names, its schema brought up to date.
 *
 * @throws ConfigError when it cannot be used as configured
 * @throws UpstreamError when it cannot be reached
 */
export async function openIdentity(config: Config, secrets: Secrets): Promise<Identity> {
  const database: Database = await openDatabase(
    secrets.databaseUrl === undefined
      ? { kind: 'sqlite', path: join(config.storage.dataDir, 'mooring.db') }
      : { kind: 'postgres', url: secrets.databaseUrl.reveal() },
  );
  const keyStore = new SqlApiKeyStore(database);
  const tenants = new SqlTenantStore(database);
  const prefix = config.credentials.keyPrefix;
  return {
    keys: new KeyService({ keys: keyStore, tenants, prefix }),
    keyStore,
    tenants,
    users: new SqlUserStore(database),
    signingKeys: new SqlSigningKeyStore(database),
    tokenFamilies: new SqlTokenFamilyStore(database),
    revocations: new SqlRevocationStore(database),
    oauth: new SqlOauthStore(database),
    ensureFirst: () => ensureFirstTenantAndKey(tenants, { prefix }),
    check: () => database.check(),
    close: () => database.close(),
  };
}
