import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../database/open-database.ts';
import { SqlApiKeyStore } from '../database/sql-api-key-store.ts';
import { SqlTenantStore } from '../database/sql-tenant-store.ts';
import { UpstreamError } from '../errors.ts';
import { markerIntervalMs } from './change-watch.ts';
import { KeyAuthenticator } from './key-authenticator.ts';
import { type KeyInput, KeyService, type MintedKey } from './key-service.ts';
import type { Principal } from './principal.ts';

const operator = { kind: 'operator' } as const;
const refusal = { code: 'invalid_token', status: 401 };
const hour = 3_600_000;

let folder: string;
let database: Database;
/** The same data as another process has it: the command line. */
let elsewhere: Database;
let store: SqlApiKeyStore;
let keys: KeyService;
let keysElsewhere: KeyService;
let authenticator: KeyAuthenticator;
let ended: string[];
let errors: unknown[];
let now: number;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mooring-authenticator-'));
  const target = { kind: 'sqlite', path: join(folder, 'mooring.db') } as const;
  database = await openDatabase(target);
  elsewhere = await openDatabase(target);
  store = new SqlApiKeyStore(database);
  now = 1_800_000_000_000;
  const clock = () => now;
  const tenants = new SqlTenantStore(database);
  await tenants.insert({ id: 'cafe', name: 'Cafe', createdAt: now });
  keys = new KeyService({ keys: store, tenants, now: clock });
  keysElsewhere = new KeyService({
    keys: new SqlApiKeyStore(elsewhere),
    tenants: new SqlTenantStore(elsewhere),
    now: clock,
  });
  open();
});

afterEach(async () => {
  await authenticator.close();
  await database.close();
  await elsewhere.close();
  rmSync(folder, { recursive: true });
});

function open(options: { readonly maxEntries?: number; readonly useIntervalMs?: number } = {}): void {
  ended = [];
  errors = [];
  authenticator = new KeyAuthenticator({
    keys: store,
    now: () => now,
    sweepIntervalMs: 5,
    onError: (error) => errors.push(error),
    ...options,
  });
  authenticator.onRevoked((id) => ended.push(id));
}

function create(input: Partial<KeyInput> = {}): Promise<MintedKey> {
  return keys.create(operator, {
    tenantId: 'cafe',
    name: 'k',
    scopes: ['a', 'b'],
    role: 'merchant',
    ...input,
  });
}

async function accept(token: string): Promise<Principal> {
  return authenticator.authenticate(token);
}

async function refuse(token: string): Promise<void> {
  await expect(accept(token)).rejects.toMatchObject(refusal);
}

describe('a key that is valid', () => {
  test('is its tenant, role and scopes; the subject is the first key of its chain', async () => {
    const first = await create({ expiresAt: now + hour });
    const second = await keys.rotate(operator, first.key.id);
    expect(await accept(second.secret)).toEqual({
      kind: 'key',
      subject: first.key.id,
      credentialId: second.key.id,
      tenantIds: ['cafe'],
      activeTenantId: 'cafe',
      role: 'merchant',
      scopes: ['a', 'b'],
      expiresAt: now + hour,
    });
  });

  test('is answered from memory without a promise, as one frozen principal', async () => {
    const { secret } = await create();
    const first = await accept(secret);
    expect(authenticator.authenticate(secret)).toBe(first);
    expect(Object.isFrozen(first) && Object.isFrozen(first.scopes) && Object.isFrozen(first.tenantIds)).toBe(
      true,
    );
  });

  test('is looked up once however many requests bring it at the same time', async () => {
    const { secret } = await create();
    await refuse(`x_mcp_${'0'.repeat(64)}`);
    let lookups = 0;
    const findByHash = store.findByHash.bind(store);
    store.findByHash = (hash) => {
      lookups += 1;
      return findByHash(hash);
    };
    const principals = await Promise.all(Array.from({ length: 50 }, () => accept(secret)));
    expect(new Set(principals).size).toBe(1);
    expect(lookups).toBe(1);
  });

  test('stays valid past the bound of keys in memory', async () => {
    await authenticator.close();
    open({ maxEntries: 3 });
    const minted = await Promise.all(Array.from({ length: 8 }, () => create()));
    for (let round = 0; round < 2; round += 1) {
      for (const { key, secret } of minted) expect((await accept(secret)).credentialId).toBe(key.id);
    }
  });
});

describe('a token that is not a valid key', () => {
  test.each([
    '',
    'x',
    'Bearer x',
    `mooring_mcp_${'0'.repeat(63)}`,
    `mooring_mcp_${'0'.repeat(65)}`,
    `mooring_mcp_${'G'.repeat(64)}`,
    `Mooring_mcp_${'0'.repeat(64)}`,
    `_mcp_${'0'.repeat(64)}`,
    `mooring_mcp_${'0'.repeat(64)}\n`,
    `${'a'.repeat(100_000)}_mcp_`,
    '\u0000',
  ])('of the wrong shape is refused without asking the store: %j', (token) => {
    expect(() => authenticator.authenticate(token)).toThrow(expect.objectContaining(refusal));
  });

  test('is refused when unknown, and is not asked for again at once', async () => {
    const token = `mooring_mcp_${'0'.repeat(64)}`;
    await refuse(token);
    expect(() => authenticator.authenticate(token)).toThrow(expect.objectContaining(refusal));
  });

  test('gets the same answer for every reason', async () => {
    const minted = [await create(), await create(), await create({ expiresAt: now + 1 })];
    await keys.revoke(operator, minted[0]?.key.id ?? '');
    await keys.update(operator, minted[1]?.key.id ?? '', { isActive: false });
    now += 1;
    const tokens = [...minted.map(({ secret }) => secret), `mooring_mcp_${'0'.repeat(64)}`];
    const messages = await Promise.all(
      tokens.map((token) =>
        accept(token).then(
          () => 'accepted',
          (error: Error) => error.message,
        ),
      ),
    );
    expect(new Set(messages).size).toBe(1);
    expect(messages).not.toContain('accepted');
  });
});

describe('a key that ends', () => {
  test.each(['here', 'elsewhere'])(
    'by revocation %s stops at the next request and its streams are cut',
    async (where) => {
      const { key, secret } = await create();
      await accept(secret);
      await (where === 'here' ? keys : keysElsewhere).revoke(operator, key.id);
      now += markerIntervalMs;
      await refuse(secret);
      expect(ended).toEqual([key.id]);
    },
  );

  test('elsewhere cuts its streams without any request', async () => {
    const { key, secret } = await create();
    await accept(secret);
    await keysElsewhere.revoke(operator, key.id);
    now += markerIntervalMs;
    await expect.poll(() => ended).toEqual([key.id]);
  });

  test('by deactivation stops, and works again when activated, and can end again', async () => {
    const { key, secret } = await create();
    await accept(secret);
    await keys.update(operator, key.id, { isActive: false });
    await refuse(secret);
    await keysElsewhere.update(operator, key.id, { isActive: true });
    now += markerIntervalMs;
    await accept(secret);
    await keys.update(operator, key.id, { isActive: false });
    await refuse(secret);
    expect(ended).toEqual([key.id, key.id]);
  });

  test('by expiry stops at that millisecond, and its streams are cut without a request', async () => {
    const { key, secret } = await create({ expiresAt: now + 5000 });
    await accept(secret);
    now += 4999;
    await accept(secret);
    now += 1;
    await refuse(secret);
    const other = await create({ expiresAt: now + 5000 });
    await accept(other.secret);
    now += 5000;
    await expect.poll(() => ended).toEqual([key.id, other.key.id]);
  });

  test('by rotation works through its overlap, and its streams are cut at the end of it', async () => {
    const old = await create();
    await accept(old.secret);
    const successor = await keysElsewhere.rotate(operator, old.key.id, { overlapSeconds: 60 });
    now += 59_999;
    expect((await accept(old.secret)).expiresAt).toBe(now + 1);
    expect(ended).toEqual([]);
    now += 1;
    await expect.poll(() => ended).toEqual([old.key.id]);
    await refuse(old.secret);
    expect((await accept(successor.secret)).subject).toBe(old.key.id);
  });

  test('by rotation without overlap stops at once', async () => {
    const { key, secret } = await create();
    await accept(secret);
    await keys.rotate(operator, key.id, { overlapSeconds: 0 });
    await refuse(secret);
    expect(ended).toEqual([key.id]);
  });

  test('while it is being looked up is not kept in memory', async () => {
    const { key, secret } = await create();
    await refuse(`x_mcp_${'0'.repeat(64)}`);
    const findByHash = store.findByHash.bind(store);
    store.findByHash = async (hash) => {
      const found = await findByHash(hash);
      store.findByHash = findByHash;
      await keys.revoke(operator, key.id);
      return found;
    };
    await accept(secret);
    await refuse(secret);
  });

  test('by hand in the table is noticed when it is read again', async () => {
    const { key, secret } = await create();
    await accept(secret);
    await elsewhere.kysely
      .updateTable('mcp_api_key')
      .set({ is_active: false })
      .where('id', '=', key.id)
      .execute();
    now += 10_000;
    await refuse(secret);
    expect(ended).toEqual([key.id]);
  });
});

test('narrower scopes hold from the next request on', async () => {
  const { key, secret } = await create();
  await accept(secret);
  await keysElsewhere.update(operator, key.id, { scopes: ['a'] });
  now += markerIntervalMs;
  expect((await accept(secret)).scopes).toEqual(['a']);
  expect(ended).toEqual([]);
});

test('a copy of the data from before is noticed: nothing is accepted from memory', async () => {
  const { key, secret } = await create();
  await accept(secret);
  await elsewhere.kysely.deleteFrom('mcp_api_key').where('id', '=', key.id).execute();
  await elsewhere.kysely.updateTable('mcp_api_key_revision').set({ revision: 0 }).execute();
  now += markerIntervalMs;
  await refuse(secret);
});

describe('a store that cannot be reached', () => {
  test('is never told as an invalid key, nor remembered as one', async () => {
    const { secret } = await create();
    const findByHash = store.findByHash.bind(store);
    store.findByHash = () => Promise.reject(new UpstreamError('database', 'gone'));
    await expect(accept(secret)).rejects.toBeInstanceOf(UpstreamError);
    await expect(accept(secret)).rejects.toBeInstanceOf(UpstreamError);
    store.findByHash = findByHash;
    await accept(secret);
  });

  test('leaves keys in memory valid for ten seconds and no longer, and is reported once', async () => {
    const { secret } = await create();
    await accept(secret);
    const gone = () => Promise.reject(new UpstreamError('database', 'gone'));
    store.loadRevision = gone;
    store.findByHash = gone;
    store.readMarker = () => undefined;
    now += 9999;
    await accept(secret);
    await accept(secret);
    now += 1;
    await expect(accept(secret)).rejects.toBeInstanceOf(UpstreamError);
    expect(errors.length).toBeGreaterThan(0);
    expect(ended).toEqual([]);
  });
});

test('last use is written in batches and when it closes', async () => {
  await authenticator.close();
  open({ useIntervalMs: 10 });
  const { key, secret } = await create();
  await accept(secret);
  await expect.poll(async () => (await store.findById(key.id))?.lastUsedAt).toBe(now);
  await authenticator.close();
  open();
  now += 7;
  await accept(secret);
  await authenticator.close();
  expect((await store.findById(key.id))?.lastUsedAt).toBe(now);
});
