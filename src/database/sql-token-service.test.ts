import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeTokenService } from '../auth/tokens/token-service.contract.ts';
import { openDatabase } from './open-database.ts';
import { SqlSigningKeyStore } from './sql-signing-key-store.ts';
import { SqlTenantStore } from './sql-tenant-store.ts';
import { SqlTokenFamilyStore } from './sql-token-family-store.ts';
import { SqlUserStore } from './sql-user-store.ts';

describeTokenService('SQLite', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mooring-token-service-'));
  const path = join(folder, 'mooring.db');
  const [one, other] = await Promise.all([
    openDatabase({ kind: 'sqlite', path }),
    openDatabase({ kind: 'sqlite', path }),
  ]);
  return {
    users: new SqlUserStore(one),
    tenants: new SqlTenantStore(one),
    signingKeys: new SqlSigningKeyStore(one),
    otherSigningKeys: new SqlSigningKeyStore(other),
    tokenFamilies: new SqlTokenFamilyStore(one),
    otherTokenFamilies: new SqlTokenFamilyStore(other),
    close: async () => {
      await one.close();
      await other.close();
      rmSync(folder, { recursive: true });
    },
  };
});
