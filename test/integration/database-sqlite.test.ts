import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDatabase } from '../../src/database/open-database.ts';
import { SqlApiKeyStore } from '../../src/database/sql-api-key-store.ts';
import { SqlTenantStore } from '../../src/database/sql-tenant-store.ts';
import { ConfigError } from '../../src/errors.ts';

const starter = fileURLToPath(new URL('database-starter.mjs', import.meta.url));

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mooring-sqlite-'));
  path = join(folder, 'deep', 'er', 'mooring.db');
});
afterEach(() => rmSync(folder, { recursive: true }));

test('several processes that start at once on no file at all bring up one schema, one tenant and one key', async () => {
  const starts = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [starter, path]);
      return (JSON.parse(stdout) as { readonly tenantId?: string }).tenantId;
    }),
  );
  const made = starts.filter((tenantId) => tenantId !== undefined);
  expect(made).toHaveLength(1);
  const database = await openDatabase({ kind: 'sqlite', path });
  const tenants = await new SqlTenantStore(database).list(10);
  expect(tenants.map(({ id }) => id)).toEqual(made);
  expect(await new SqlApiKeyStore(database).list(made[0] ?? '', 10)).toHaveLength(1);
  await database.close();
});

test('several openings in one process do not stop each other', async () => {
  const opened = await Promise.all(Array.from({ length: 8 }, () => openDatabase({ kind: 'sqlite', path })));
  await Promise.all(
    opened.map((database, n) =>
      new SqlTenantStore(database).insert({ id: `t${n}`, name: 't', createdAt: n }),
    ),
  );
  expect(await new SqlTenantStore(await openDatabase({ kind: 'sqlite', path })).list(20)).toHaveLength(8);
  await Promise.all(opened.map((database) => database.close()));
});

test('nobody else on the machine can read the file', async () => {
  const database = await openDatabase({ kind: 'sqlite', path });
  expect(statSync(path).mode & 0o077).toBe(0);
  expect(statSync(`${path}-wal`).mode & 0o077).toBe(0);
  await database.close();
});

test('a transaction that fails leaves nothing behind and the connection usable', async () => {
  const database = await openDatabase({ kind: 'sqlite', path });
  const tenants = new SqlTenantStore(database);
  const failing = database.kysely.transaction().execute(async (transaction) => {
    await transaction.insertInto('mcp_tenant').values({ id: 'a', name: 'a', created_at: 1 }).execute();
    throw new Error('on purpose');
  });
  await expect(failing).rejects.toThrow('on purpose');
  expect(await tenants.list(10)).toEqual([]);
  expect(await tenants.insert({ id: 'a', name: 'a', createdAt: 1 })).toBe(true);
  await database.close();
  await expect(database.check()).rejects.toThrow();
});

test.each([
  [
    'its folder is a file',
    (where: string) => writeFileSync(join(where, 'deep'), ''),
    'a part of its path is a file',
  ],
  [
    'it is no database',
    (where: string) => writeFileSync(join(where, 'deep'), 'x'.repeat(4096)),
    'is not a SQLite database',
  ],
])('a path that cannot be used is told in one sentence: %s', async (what, spoil, reason) => {
  spoil(folder);
  const target = what === 'it is no database' ? join(folder, 'deep') : path;
  const opening = openDatabase({ kind: 'sqlite', path: target });
  await expect(opening).rejects.toBeInstanceOf(ConfigError);
  await expect(opening).rejects.toThrow(reason);
});

// Root may write everywhere else; the kernel's own folders refuse root too.
test.skipIf(process.platform !== 'linux')(
  'a folder where nothing can be made is told in one sentence',
  async () => {
    const opening = openDatabase({ kind: 'sqlite', path: '/sys/mooring/mooring.db' });
    await expect(opening).rejects.toBeInstanceOf(ConfigError);
    await expect(opening).rejects.toThrow(/^DATA_DIR: cannot use \/sys\/mooring\/mooring\.db: /);
  },
);
