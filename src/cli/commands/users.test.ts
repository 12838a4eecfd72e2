import { Readable } from 'node:stream';
import { Command } from 'commander';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isPassword } from '../../auth/users/password.ts';
import { UserService } from '../../auth/users/user-service.ts';
import { type Database, openDatabase } from '../../database/open-database.ts';
import { SqlTenantStore } from '../../database/sql-tenant-store.ts';
import { SqlUserStore } from '../../database/sql-user-store.ts';
import { addUsersCommand } from './users.ts';

let database: Database;
let store: SqlUserStore;
let opened: number;

beforeEach(async () => {
  database = await openDatabase({ kind: 'sqlite', path: ':memory:' });
  store = new SqlUserStore(database);
  opened = 0;
  await new SqlTenantStore(database).insert({ id: 'acme', name: 'Acme', createdAt: 1 });
});
afterEach(async () => {
  expect(opened).toBe(0);
  await database.close();
});

async function run(args: readonly string[], input = ''): Promise<string> {
  const lines: string[] = [];
  const program = new Command('mooring')
    .exitOverride()
    .configureOutput({ writeOut: (text) => lines.push(text), writeErr: (text) => lines.push(text) });
  addUsersCommand(program, {
    openUsers: async () => {
      opened += 1;
      return {
        userService: new UserService({ users: store, revoke: async () => undefined }),
        tenants: new SqlTenantStore(database),
        close: async () => void (opened -= 1),
      };
    },
    input: Readable.from([input]),
    write: (line) => lines.push(line),
  });
  await program.parseAsync(['users', ...args], { from: 'user' });
  return lines.join('\n');
}

async function runJson(args: readonly string[], input?: string): Promise<Record<string, unknown>> {
  return JSON.parse(await run([...args, '--json'], input)) as Record<string, unknown>;
}

test('an account from its making to its end, as JSON', async () => {
  const made = await runJson([
    'create',
    'Ada',
    '--role',
    'tenant_developer',
    '--scope',
    'notes:read',
    'tags',
  ]);
  expect(made).toMatchObject({
    subject: 'ada',
    issuer: 'local',
    isActive: true,
    password: expect.stringMatching(/^[a-z2-9]{20}$/),
    memberships: [
      { tenantId: 'acme', role: 'tenant_developer', scopes: ['notes:read', 'tags'], isActive: true },
    ],
  });
  expect(await runJson(['show', 'ADA'])).not.toHaveProperty('password');
  expect(await runJson(['join', 'ada', '--scope', 'notes'])).toMatchObject({
    memberships: [{ role: 'merchant', scopes: ['notes'] }],
  });
  expect(await runJson(['password', 'ada'])).toHaveProperty(
    'password',
    expect.not.stringMatching(String(made['password'])),
  );
  expect(await runJson(['deactivate', 'ada'])).toMatchObject({ isActive: false });
  expect(await runJson(['activate', 'ada'])).toMatchObject({ isActive: true });
  expect(await runJson(['leave', 'ada'])).toMatchObject({ memberships: [] });
  expect(await runJson(['list'])).toMatchObject([{ subject: 'ada' }]);
});

test('a password is shown once, to a person, and never again', async () => {
  const text = await run(['create', 'ada']);
  const [password = ''] = text.split('\n');
  expect(text).toContain('This is the only time the password is shown');
  const user = await store.findByIdentity('local', 'ada');
  expect(await isPassword(password, await store.loadPasswordHash(user?.id ?? ''))).toBe(true);
  for (const args of [['show', 'ada'], ['list'], ['list', '--json']])
    expect(await run(args)).not.toContain(password);
});

test('a password may come from standard input, and is not shown then', async () => {
  const password = 'correct horse battery';
  const made = await runJson(['create', 'ada', '--password-stdin'], `${password}\nmore`);
  expect(JSON.stringify(made)).not.toContain(password);
  const hash = await store.loadPasswordHash(String(made['id']));
  expect(await isPassword(password, hash)).toBe(true);
  await expect(run(['password', 'ada', '--password-stdin'], '\n')).rejects.toThrow(
    'nothing on standard input',
  );
  await expect(run(['password', 'ada', '--password-stdin'], 'short\n')).rejects.toThrow(
    '15 to 256 characters',
  );
});

test('a user of an issuer has no password', async () => {
  const made = await runJson(['create', 'u|1', '--issuer', 'https://id.example']);
  expect(made).toMatchObject({ issuer: 'https://id.example', subject: 'u|1' });
  expect(made).not.toHaveProperty('password');
});

test('who is not there is named', async () => {
  await expect(run(['show', 'eve'])).rejects.toThrow('Unknown user: eve');
  await expect(run(['create', 'ada', '--tenant', 'other'])).rejects.toThrow('There is no tenant "other"');
});
