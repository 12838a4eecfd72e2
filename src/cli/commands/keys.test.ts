import { Command, CommanderError } from 'commander';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { KeyService } from '../../auth/key-service.ts';
import { type Database, openDatabase } from '../../database/open-database.ts';
import { SqlApiKeyStore } from '../../database/sql-api-key-store.ts';
import { SqlTenantStore } from '../../database/sql-tenant-store.ts';
import { addKeysCommand } from './keys.ts';
import { addTenantsCommand } from './tenants.ts';

const now = Date.parse('2027-01-01T00:00:00Z');

let database: Database;
let opened: number;
let closed: number;

beforeEach(async () => {
  database = await openDatabase({ kind: 'sqlite', path: ':memory:' });
  opened = 0;
  closed = 0;
});
afterEach(() => database.close());

async function run(...args: string[]): Promise<string> {
  const lines: string[] = [];
  const program = new Command('mooring')
    .exitOverride()
    .configureOutput({ writeOut: (text) => lines.push(text), writeErr: (text) => lines.push(text) });
  const tenants = new SqlTenantStore(database);
  const deps = {
    openKeys: async () => {
      opened += 1;
      const keys = new KeyService({ keys: new SqlApiKeyStore(database), tenants, now: () => now });
      return { keys, tenants, close: async () => void (closed += 1) };
    },
    write: (line: string) => lines.push(line),
    now: () => now,
  };
  addKeysCommand(program, deps);
  addTenantsCommand(program, deps);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError && error.exitCode === 0)) throw error;
  } finally {
    expect(closed).toBe(opened);
  }
  return lines.join('\n');
}

async function runJson(...args: string[]): Promise<Record<string, unknown>> {
  return JSON.parse(await run(...args, '--json')) as Record<string, unknown>;
}

test('a key from its making to its end, as JSON', async () => {
  await run('tenants', 'create', '--name', 'Cafe', '--id', 'cafe');
  const made = await runJson(
    'keys',
    'create',
    '--name',
    'till',
    '--scope',
    'notes:read',
    'tags',
    '--expires',
    '90d',
  );
  expect(made).toMatchObject({
    tenantId: 'cafe',
    role: 'merchant',
    scopes: ['notes:read', 'tags'],
    state: 'active',
    expiresAt: '2027-04-01T00:00:00.000Z',
    key: expect.stringMatching(/^mooring_mcp_[0-9a-f]{64}$/),
  });
  const id = String(made['id']);
  const successor = await runJson(
    'keys',
    'rotate',
    id,
    '--overlap',
    '1h',
    '--expires',
    '2028-01-01T00:00:00Z',
  );
  expect(successor).toMatchObject({ rotatedFrom: id, expiresAt: '2028-01-01T00:00:00.000Z' });
  const shown = await runJson('keys', 'show', id);
  expect(shown).toMatchObject({ state: 'overlapping', graceUntil: '2027-01-01T01:00:00.000Z' });
  expect(shown).not.toHaveProperty('key');
  expect(await runJson('keys', 'revoke', id)).toMatchObject({ state: 'revoked', isActive: false });
  const listed = await run('keys', 'list', '--json');
  expect((JSON.parse(listed) as unknown[]).length).toBe(2);
  expect(listed).not.toContain(String(made['key']));
});

test('for people, a key comes with a note that it is shown once, and lists are tables', async () => {
  await run('tenants', 'create', '--name', 'Cafe');
  const made = await run('keys', 'create', '--name', 'till');
  expect(made).toMatch(/^mooring_mcp_[0-9a-f]{64}\n\nThis is the only time the key is shown/);
  expect(await run('keys', 'list')).toMatch(
    /^ID +NAME +KEY +STATE.*\n[0-9a-f-]{36} +till +mooring_mcp_\.\.\.[0-9a-f]{4} +active +merchant +\* +never +never$/,
  );
  expect(await run('tenants', 'list')).toMatch(
    /^ID +NAME +CREATED\n[0-9a-f-]{36} +Cafe +2027-01-01T00:00:00\.000Z$/,
  );
});

test('the tenant is the only one, or named, or told apart by its id', async () => {
  await expect(run('keys', 'list')).rejects.toThrow(/no tenant yet/);
  await run('tenants', 'create', '--name', 'Cafe', '--id', 'one');
  await expect(run('tenants', 'create', '--name', 'Again', '--id', 'one')).rejects.toThrow(/already/);
  await run('tenants', 'create', '--name', 'Shop', '--id', 'two');
  await expect(run('keys', 'list')).rejects.toThrow(/several tenants/);
  expect(await runJson('keys', 'create', '--name', 'k', '--tenant', 'Shop')).toMatchObject({
    tenantId: 'two',
  });
  await run('tenants', 'create', '--name', 'Shop', '--id', 'three');
  await expect(run('keys', 'list', '--tenant', 'Shop')).rejects.toThrow(/Several tenants are named/);
  expect(await run('keys', 'list', '--tenant', 'three', '--json')).toBe('[]');
  await expect(run('keys', 'list', '--tenant', 'nobody')).rejects.toThrow(/no tenant "nobody"/);
});

test.each([
  [['keys', 'create'], /--name/],
  [['keys', 'create', '--name', 'x', '--expires', 'soon'], /time from now/],
  [['keys', 'show', 'x'], /not the id of a key/],
  [['keys', 'rotate', '00000000-0000-4000-8000-000000000000', '--overlap', '1'], /number and a unit/],
  [['keys', 'create', '--name', 'a\u001b[2J'], /control/],
  [['keys', 'create', '--name', 'a', '--role', 'Bad Role'], /--role is not valid/],
  [['keys', 'create', '--name', 'a', '--scope', 'a b'], /--scope is not valid/],
  [['keys', 'show', '00000000-0000-4000-8000-000000000000'], /Unknown API key/],
])('%j is refused in words', async (args, message) => {
  await run('tenants', 'create', '--name', 'Cafe');
  await expect(run(...args)).rejects.toThrow(message);
});

test.each([['keys'], ['keys', 'create'], ['keys', 'rotate'], ['tenants'], ['tenants', 'create']])(
  'mooring %s %s explains itself',
  async (...args) => {
    expect(await run(...args.filter(Boolean), '--help')).toContain('Usage: mooring');
    expect(opened).toBe(0);
  },
);
