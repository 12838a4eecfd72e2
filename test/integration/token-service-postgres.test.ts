import { afterAll, beforeAll } from 'vitest';
import { describeTokenService } from '../../src/auth/tokens/token-service.contract.ts';
import { openDatabase } from '../../src/database/open-database.ts';
import { SqlSigningKeyStore } from '../../src/database/sql-signing-key-store.ts';
import { SqlTenantStore } from '../../src/database/sql-tenant-store.ts';
import { SqlTokenFamilyStore } from '../../src/database/sql-token-family-store.ts';
import { SqlUserStore } from '../../src/database/sql-user-store.ts';
import { type PostgresServer, startPostgres } from '../embedded-postgres.ts';

let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.remove());

describeTokenService('PostgreSQL', async () => {
  const url = await server.createDatabase();
  const [one, other] = await Promise.all([
    openDatabase({ kind: 'postgres', url }),
    openDatabase({ kind: 'postgres', url }),
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
    },
  };
});
