import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../database/open-database.ts';
import { SqlTenantStore } from '../../database/sql-tenant-store.ts';
import { SqlUserStore } from '../../database/sql-user-store.ts';
import { ensureFirstUser } from './first-user.ts';
import { isPassword } from './password.ts';
import { UserService } from './user-service.ts';

const membership = { tenantId: 'acme', role: 'merchant', scopes: ['notes:read'] };

let database: Database;
let store: SqlUserStore;
let tenants: SqlTenantStore;
let service: UserService;
let revoked: string[];

beforeEach(async () => {
  database = await openDatabase({ kind: 'sqlite', path: ':memory:' });
  store = new SqlUserStore(database);
  tenants = new SqlTenantStore(database);
  await tenants.insert({ id: 'acme', name: 'Acme', createdAt: 1 });
  revoked = [];
  service = new UserService({
    users: store,
    revoke: async (kind, name) => void revoked.push(`${kind} ${name}`),
  });
});
afterEach(() => database.close());

test('a local account gets a password that is told once and works', async () => {
  const { user, password = '' } = await service.create({ subject: ' Ada ', membership });
  expect(user).toMatchObject({ issuer: 'local', subject: 'ada', isActive: true });
  expect(password).toMatch(/^[a-z2-9]{20}$/);
  const hash = await store.loadPasswordHash(user.id);
  expect(hash).not.toContain(password);
  expect(await isPassword(password, hash)).toBe(true);
  expect((await service.find('ADA')).memberships).toMatchObject([{ ...membership, isActive: true }]);
});

test('a user of an issuer has no password here, and the issuer is a URL', async () => {
  await expect(service.create({ issuer: 'google', subject: 'u' })).rejects.toThrow('An issuer is a URL');
  const made = await service.create({ issuer: 'https://id.example', subject: 'u|1', membership });
  expect(made.password).toBeUndefined();
  expect(await store.loadPasswordHash(made.user.id)).toBeUndefined();
  await expect(service.setPassword(made.user.id)).rejects.toMatchObject({ code: 'conflict' });
  const both = { issuer: 'https://id.example', subject: 'u|2', password: 'correct horse battery' };
  await expect(service.create(both)).rejects.toMatchObject({ code: 'request_invalid' });
});

test.each(['', 'two words', 'line\nbreak', 'x'.repeat(129)])(
  '%j is no name to sign in with',
  async (subject) => {
    await expect(service.create({ subject })).rejects.toMatchObject({ code: 'request_invalid' });
  },
);

test('a name is taken once, in any case', async () => {
  await service.create({ subject: 'ada' });
  await expect(service.create({ subject: 'ADA' })).rejects.toMatchObject({ code: 'conflict' });
});

test('what a user may no longer do ends their tokens', async () => {
  const { user } = await service.create({ subject: 'ada', membership });
  expect(revoked).toEqual([]);
  await service.join(user.id, { ...membership, scopes: ['notes'] });
  await service.setPassword(user.id);
  await service.setActive(user.id, false);
  await service.setActive(user.id, true);
  await service.leave(user.id, 'acme');
  expect(revoked).toEqual(Array.from({ length: 4 }, () => `user ${user.id}`));
});

test('who or what is not there is named', async () => {
  const { user } = await service.create({ subject: 'ada' });
  await expect(service.find('eve')).rejects.toMatchObject({ code: 'not_found' });
  await expect(service.join(user.id, { ...membership, tenantId: 'other' })).rejects.toMatchObject({
    code: 'not_found',
  });
  await expect(service.leave(user.id, 'acme')).rejects.toMatchObject({ code: 'not_found' });
});

test('the first account is made once, by one of several starters, in the oldest tenant', async () => {
  const made = await Promise.all([1, 2, 3].map(() => ensureFirstUser(store, tenants)));
  const [first, ...others] = made.filter((each) => each !== undefined);
  expect(others).toEqual([]);
  expect(first?.user.subject).toBe('admin');
  expect(await isPassword(first?.password ?? '', await store.loadPasswordHash(first?.user.id ?? ''))).toBe(
    true,
  );
  expect((await service.find('admin')).memberships).toMatchObject([{ tenantId: 'acme', scopes: ['*'] }]);
  expect(await ensureFirstUser(store, tenants)).toBeUndefined();
});
