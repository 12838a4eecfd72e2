/**
 * One instance's start, for a test that starts several at once: opens a SQLite file, makes the first tenant and key
 * if it is the first, and says what it made as one line of JSON.
 */
import { ensureFirstTenantAndKey } from '../../dist/auth/first-run.js';
import { openDatabase } from '../../dist/database/open-database.js';
import { SqlTenantStore } from '../../dist/database/sql-tenant-store.js';

const database = await openDatabase({ kind: 'sqlite', path: process.argv[2] });
const made = await ensureFirstTenantAndKey(new SqlTenantStore(database));
await database.close();
process.stdout.write(`${JSON.stringify({ tenantId: made?.tenant.id })}\n`);
