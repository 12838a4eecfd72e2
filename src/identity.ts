/**
 * Tenants, API keys, users and what sign-in keeps, over one database: opened by the host and by the command line alike.
 */
import { join } from 'node:path';
import { type FirstRun, ensureFirstTenantAndKey } from './auth/first-run.ts';
import { KeyService } from './auth/key-service.ts';
import type { ApiKeyStore } from './auth/api-key-store.ts';
import type { OauthStore } from './auth/oauth-store.ts';
import { maxTokenLifetimeMs } from './auth/revocation/shared-revocations.ts';
import type { RevocationKind, RevocationStore } from './auth/revocation/revocation-store.ts';
import type { TenantStore } from './auth/tenant-store.ts';
import type { SigningKeyStore } from './auth/tokens/signing-key-store.ts';
import type { TokenFamilyStore } from './auth/tokens/token-family-store.ts';
import { type FirstUser, ensureFirstUser } from './auth/users/first-user.ts';
import { ClientService } from './auth/clients/client-service.ts';
import type { ServiceClientStore } from './auth/clients/service-client-store.ts';
import { UserService } from './auth/users/user-service.ts';
import type { UserStore } from './auth/users/user-store.ts';
import type { Config, Secrets } from './config/config.ts';
import { type Database, openDatabase } from './database/open-database.ts';
import { SqlApiKeyStore } from './database/sql-api-key-store.ts';
import { SqlOauthStore } from './database/sql-oauth-store.ts';
import { SqlRevocationStore } from './database/sql-revocation-store.ts';
import { SqlServiceClientStore } from './database/sql-service-client-store.ts';
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
  readonly userService: UserService;
  readonly serviceClients: ServiceClientStore;
  readonly clientService: ClientService;
  readonly signingKeys: SigningKeyStore;
  readonly tokenFamilies: TokenFamilyStore;
  readonly revocations: RevocationStore;
  readonly oauth: OauthStore;
  /** Makes the first tenant and key of an empty database. */
  ensureFirst(): Promise<FirstRun | undefined>;
  /** Makes the first account where nobody could sign in. Not before there is a tenant. */
  ensureFirstUser(): Promise<FirstUser | undefined>;
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
  const users = new SqlUserStore(database);
  const revocations = new SqlRevocationStore(database);
  const serviceClients = new SqlServiceClientStore(database);
  const prefix = config.credentials.keyPrefix;
  /** Running hosts read it from the store. */
  const revoke = async (kind: RevocationKind, name: string): Promise<void> => {
    const revokedAt = Date.now();
    await revocations.insert({ kind, name, revokedAt, expiresAt: revokedAt + maxTokenLifetimeMs });
  };
  return {
    keys: new KeyService({ keys: keyStore, tenants, prefix }),
    keyStore,
    tenants,
    users,
    userService: new UserService({ users, revoke }),
    serviceClients,
    clientService: new ClientService({ clients: serviceClients, revoke }),
    signingKeys: new SqlSigningKeyStore(database),
    tokenFamilies: new SqlTokenFamilyStore(database),
    revocations,
    oauth: new SqlOauthStore(database),
    ensureFirst: () => ensureFirstTenantAndKey(tenants, { prefix }),
    ensureFirstUser: () => ensureFirstUser(users, tenants),
    check: () => database.check(),
    close: () => database.close(),
  };
}
