import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { exportJWK, generateKeyPair, importPKCS8 } from 'jose';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ClientService } from '../../auth/clients/client-service.ts';
import { type Database, openDatabase } from '../../database/open-database.ts';
import { SqlServiceClientStore } from '../../database/sql-service-client-store.ts';
import { SqlTenantStore } from '../../database/sql-tenant-store.ts';
import { addClientsCommand } from './clients.ts';

let database: Database;
let folder: string;
let opened: number;
let revoked: string[];

beforeEach(async () => {
  database = await openDatabase({ kind: 'sqlite', path: ':memory:' });
  folder = mkdtempSync(join(tmpdir(), 'mooring-clients-'));
  opened = 0;
  revoked = [];
  for (const id of ['acme', 'cafe'])
    await new SqlTenantStore(database).insert({ id, name: id.toUpperCase(), createdAt: 1 });
});
afterEach(async () => {
  expect(opened).toBe(0);
  await database.close();
  rmSync(folder, { recursive: true });
});

async function run(...args: readonly string[]): Promise<string> {
  const lines: string[] = [];
  const program = new Command('mooring')
    .exitOverride()
    .configureOutput({ writeOut: (text) => lines.push(text), writeErr: (text) => lines.push(text) });
  addClientsCommand(program, {
    openClients: async () => {
      opened += 1;
      return {
        clientService: new ClientService({
          clients: new SqlServiceClientStore(database),
          revoke: async (kind, name) => void revoked.push(`${kind}:${name}`),
        }),
        tenants: new SqlTenantStore(database),
        close: async () => void (opened -= 1),
      };
    },
    write: (line) => lines.push(line),
  });
  await program.parseAsync(['clients', ...args], { from: 'user' });
  return lines.join('\n');
}

async function runJson(...args: readonly string[]): Promise<Record<string, unknown>> {
  return JSON.parse(await run(...args, '--json')) as Record<string, unknown>;
}

test('a client from its making to its end', async () => {
  const made = await runJson(
    'create',
    'nightly',
    '--tenant',
    'CAFE',
    '--role',
    'worker',
    '--scope',
    'notes:read',
    'tags',
  );
  expect(made).toMatchObject({
    name: 'nightly',
    tenantId: 'cafe',
    role: 'worker',
    scopes: ['notes:read', 'tags'],
  });
  await importPKCS8(String(made['privateKey']), 'ES256');
  const id = String(made['id']);

  const { privateKey: _, ...shown } = made;
  expect(await runJson('list')).toEqual([shown]);
  expect(await runJson('list', '--tenant', 'acme')).toEqual([]);
  expect(JSON.stringify(await runJson('list'))).not.toContain('"d"');

  expect(await run('revoke', id)).toBe(`Revoked: nightly (${id})`);
  expect(new Set(revoked)).toEqual(new Set([`client:${id}`]));
  expect(await runJson('list')).toEqual([]);
  await expect(run('revoke', id)).rejects.toThrow(`Unknown client: ${id}`);
});

test('a key that is made is shown once, and tables show none', async () => {
  const text = await run('create', 'nightly', '--tenant', 'acme', '--scope', '*');
  expect(text).toContain('-----BEGIN PRIVATE KEY-----');
  expect(text).toContain('This is the only time the private key is shown');
  expect(await run('list')).not.toContain('PRIVATE');
  expect(await run('list')).toMatch(/^ID +NAME +TENANT +ROLE +SCOPES +KEYS +CREATED\n/);
});

test('a client may bring its own keys, from a file or an address', async () => {
  const file = join(folder, 'keys.json');
  const jwk = await exportJWK((await generateKeyPair('ES256')).publicKey);
  writeFileSync(file, JSON.stringify({ keys: [{ ...jwk, kid: 'mine' }] }));
  const base = ['--tenant', 'acme', '--scope', '*'];
  const own = await runJson('create', 'own', ...base, '--jwks', file);
  expect(own).toMatchObject({ keys: { kind: 'jwks', keys: [{ kid: 'mine' }] } });
  expect(own['privateKey']).toBeUndefined();
  const uri = 'https://client.example/jwks';
  expect(await runJson('create', 'far', ...base, '--jwks-uri', uri)).toMatchObject({
    keys: { kind: 'jwks-uri', uri },
  });
});

test('what is wrong is named', async () => {
  const base = ['create', 'x', '--tenant', 'acme'];
  const notJson = join(folder, 'not.json');
  writeFileSync(notJson, 'PEM');
  await expect(run(...base)).rejects.toThrow("'--scope <scope...>' not specified");
  await expect(run('create', 'x', '--scope', '*')).rejects.toThrow('There are several tenants');
  await expect(run(...base, '--scope', '*', '--jwks', notJson)).rejects.toThrow('is not JSON');
  await expect(run(...base, '--scope', '*', '--jwks', join(folder, 'none'))).rejects.toThrow(
    'cannot be read',
  );
  await expect(run(...base, '--scope', '*', '--jwks-uri', 'http://a')).rejects.toThrow('https');
  await expect(run(...base, '--scope', 'a"b')).rejects.toThrow('--scope is not valid');
});
