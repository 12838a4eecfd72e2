import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeApiKeyStore } from '../auth/api-key-store.contract.ts';
import { describeTenantStore } from '../auth/tenant-store.contract.ts';
import { openDatabase } from './open-database.ts';
import { SqlApiKeyStore } from './sql-api-key-store.ts';
import { SqlTenantStore } from './sql-tenant-store.ts';

describeApiKeyStore('SQLite', openTwice);
describeTenantStore('SQLite', openTwice);

async function openTwice() {
  const folder = mkdtempSync(join(tmpdir(), 'mooring-database-'));
  const path = join(folder, 'mooring.db');
  const [one, other] = await Promise.all([
    openDatabase({ kind: 'sqlite', path }),
    openDatabase({ kind: 'sqlite', path }),
  ]);
  return {
    keys: new SqlApiKeyStore(one),
    otherKeys: new SqlApiKeyStore(other),
    tenants: new SqlTenantStore(one),
    otherTenants: new SqlTenantStore(other),
    close: async () => {
      await one.close();
      await other.close();
      rmSync(folder, { recursive: true });
    },
  };
}
