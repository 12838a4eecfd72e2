import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeServiceClientStore } from '../auth/clients/service-client-store.contract.ts';
import { describeOauthStore } from '../auth/oauth-store.contract.ts';
import { describeRevocationStore } from '../auth/revocation/revocation-store.contract.ts';
import { describeSigningKeyStore } from '../auth/tokens/signing-key-store.contract.ts';
import { describeTokenFamilyStore } from '../auth/tokens/token-family-store.contract.ts';
import { describeUserStore } from '../auth/users/user-store.contract.ts';
import { openDatabase } from './open-database.ts';
import { SqlOauthStore } from './sql-oauth-store.ts';
import { SqlRevocationStore } from './sql-revocation-store.ts';
import { SqlServiceClientStore } from './sql-service-client-store.ts';
import { SqlSigningKeyStore } from './sql-signing-key-store.ts';
import { SqlTenantStore } from './sql-tenant-store.ts';
import { SqlTokenFamilyStore } from './sql-token-family-store.ts';
import { SqlUserStore } from './sql-user-store.ts';

describeOauthStore('SQLite', openTwice);
describeRevocationStore('SQLite', openTwice);
describeSigningKeyStore('SQLite', openTwice);
describeTokenFamilyStore('SQLite', openTwice);
describeUserStore('SQLite', openTwice);
describeServiceClientStore('SQLite', openTwice);

async function openTwice() {
  const folder = mkdtempSync(join(tmpdir(), 'mooring-sign-in-'));
  const path = join(folder, 'mooring.db');
  const [one, other] = await Promise.all([
    openDatabase({ kind: 'sqlite', path }),
    openDatabase({ kind: 'sqlite', path }),
  ]);
  return {
    oauth: new SqlOauthStore(one),
    otherOauth: new SqlOauthStore(other),
    revocations: new SqlRevocationStore(one),
    otherRevocations: new SqlRevocationStore(other),
    signingKeys: new SqlSigningKeyStore(one),
    otherSigningKeys: new SqlSigningKeyStore(other),
    tokenFamilies: new SqlTokenFamilyStore(one),
    otherTokenFamilies: new SqlTokenFamilyStore(other),
    users: new SqlUserStore(one),
    otherUsers: new SqlUserStore(other),
    serviceClients: new SqlServiceClientStore(one),
    otherServiceClients: new SqlServiceClientStore(other),
    tenants: new SqlTenantStore(one),
    close: async () => {
      await one.close();
      await other.close();
      rmSync(folder, { recursive: true });
    },
  };
}
