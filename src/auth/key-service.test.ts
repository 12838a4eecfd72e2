import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../database/open-database.ts';
import { SqlApiKeyStore } from '../database/sql-api-key-store.ts';
import { SqlTenantStore } from '../database/sql-tenant-store.ts';
import { RequestError } from '../errors.ts';
import { type ApiKey, isKeyUsable, toKeyEnd } from './api-key.ts';
import { toKeyHash } from './key-secret.ts';
import {
  type KeyActor,
  type KeyInput,
  KeyService,
  maxKeysPerTenant,
  maxOverlapSeconds,
} from './key-service.ts';
import { isRoleCovered } from './key-strength.ts';
import type { Principal } from './principal.ts';
import { areScopesCovered } from './scope-cover.ts';

const operator = { kind: 'operator' } as const;
const day = 86_400_000;

let database: Database;
let store: SqlApiKeyStore;
let keys: KeyService;
let now: number;

beforeEach(async () => {
  database = await openDatabase({ kind: 'sqlite', path: ':memory:' });
  store = new SqlApiKeyStore(database);
  now = 1_800_000_000_000;
  const tenants = new SqlTenantStore(database);
  await tenants.insert({ id: 'cafe', name: 'Cafe', createdAt: now });
  await tenants.insert({ id: 'shop', name: 'Shop', createdAt: now });
  keys = new KeyService({ keys: store, tenants, now: () => now, prefix: 'fp' });
});

afterEach(() => database.close());

function toActor(principal: Partial<Principal> = {}): KeyActor & { readonly principal: Principal } {
  const tenantIds = principal.tenantIds ?? ['cafe'];
  return {
    kind: 'principal',
    principal: {
      kind: 'key',
      subject: 'creator',
      credentialId: 'creator',
      tenantIds,
      activeTenantId: tenantIds[0] ?? '',
      role: 'tenant_developer',
      scopes: ['*'],
      ...principal,
    },
  };
}

const input: KeyInput = { tenantId: 'cafe', name: 'till', scopes: ['notes'], role: 'merchant' };

async function create(actor: KeyActor = operator, change: Partial<KeyInput> = {}): Promise<ApiKey> {
  return (await keys.create(actor, { ...input, ...change })).key;
}

async function refuse(work: Promise<unknown>, code: string, message?: RegExp): Promise<void> {
  await expect(work).rejects.toMatchObject({
    code,
    ...(message && { message: expect.stringMatching(message) }),
  });
}

describe('creating', () => {
  test('stores a hash and a hint, never the key', async () => {
    const { key, secret } = await keys.create(operator, input);
    expect(secret).toMatch(/^fp_mcp_[0-9a-f]{64}$/);
    const rows = await database.kysely.selectFrom('mcp_api_key').selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain(secret.slice('fp_mcp_'.length));
    expect(rows[0]?.key_hash).toBe(toKeyHash(secret));
    expect(key).toMatchObject({
      ...input,
      isActive: true,
      createdAt: now,
      createdBy: 'operator',
      lineageId: key.id,
    });
  });

  test('for a tenant that does not exist is refused', () =>
    refuse(create(operator, { tenantId: 'nobody' }), 'not_found'));

  test('that has already expired is refused', () =>
    refuse(create(operator, { expiresAt: now }), 'request_invalid'));

  test('past the bound of a tenant is refused until one is gone', async () => {
    store.count = async () => maxKeysPerTenant;
    await refuse(create(), 'conflict', /1000/);
  });

  test('without an expiry takes that of the creator', async () => {
    expect(await create(toActor({ expiresAt: now + day }))).toMatchObject({ expiresAt: now + day });
    await refuse(
      create(toActor({ expiresAt: now + day }), { expiresAt: now + day + 1 }),
      'forbidden',
      /outlive/,
    );
  });
});

describe('who may manage', () => {
  const own: readonly (readonly [Partial<Principal>, string | undefined])[] = [
    [{ role: 'platform_operator', tenantIds: [] }, undefined],
    [{ role: 'tenant_developer' }, undefined],
    [{ role: 'tenant_developer', tenantIds: ['shop'] }, 'not_found'],
    [{ role: 'merchant', scopes: ['*'] }, 'forbidden'],
    [{ role: 'merchant', scopes: ['keys:manage'] }, 'forbidden'],
    [{ role: 'cashier', scopes: ['notes'] }, 'forbidden'],
    [{ role: 'cashier', scopes: ['keys:manage', 'notes'] }, undefined],
    [{ role: 'cashier', scopes: ['keys', 'notes'] }, undefined],
    [{ role: 'cashier', scopes: ['*'] }, undefined],
    [{ role: 'cashier', scopes: ['*'], tenantIds: ['shop'] }, 'not_found'],
  ];
  test.each(own)('%j: %s', async (principal, code) => {
    const actor = toActor(principal);
    const key = await create(operator, { role: principal.role === 'cashier' ? 'cashier' : 'merchant' });
    const attempts = [
      () => keys.list(actor, { tenantId: 'cafe' }),
      () => keys.load(actor, key.id),
      () => keys.update(actor, key.id, { name: 'renamed' }),
      () => keys.rotate(actor, key.id),
      () => keys.revoke(actor, key.id),
      () => keys.create(actor, { ...input, role: key.role }),
    ];
    for (const attempt of attempts) {
      if (code === undefined) await attempt();
      else await refuse(attempt(), code);
    }
  });

  test("another tenant's key and no key at all are answered alike", async () => {
    const foreign = await create(operator, { tenantId: 'shop' });
    const answers = await Promise.all(
      [foreign.id, '00000000-0000-4000-8000-000000000000'].map((id) =>
        keys.revoke(toActor(), id).catch((error: unknown) => error),
      ),
    );
    expect(answers[0]).toEqual(answers[1]);
    expect(answers[0]).toMatchObject({ code: 'not_found', message: 'Unknown API key' });
  });
});

describe('listing', () => {
  test('pages through a tenant, in order, without another tenant', async () => {
    const made: string[] = [];
    for (let n = 0; n < 5; n += 1) made.push((await create()).id);
    await create(operator, { tenantId: 'shop' });
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await keys.list(toActor(), {
        tenantId: 'cafe',
        limit: 2,
        ...(cursor !== undefined && { cursor }),
      });
      seen.push(...page.keys.map(({ id }) => id));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(seen.sort()).toEqual(made.sort());
  });

  test('tells an empty tenant from none, and refuses a cursor that is not ours', async () => {
    expect(await keys.list(operator, { tenantId: 'shop' })).toEqual({ keys: [] });
    await refuse(keys.list(operator, { tenantId: 'nobody' }), 'not_found');
    for (const cursor of ['', 'x', '%00', Buffer.from("1/' or 1=1").toString('base64url')]) {
      await refuse(keys.list(operator, { tenantId: 'cafe', cursor }), 'request_invalid');
    }
  });
});

describe('changing', () => {
  test('what does not strengthen a key is allowed, even for a stronger key', async () => {
    const strong = await create(operator, { scopes: ['*'], role: 'tenant_developer' });
    const actor = toActor({ scopes: ['keys', 'notes'], role: 'tenant_developer' });
    const change = {
      name: 'renamed',
      isActive: false,
      scopes: ['notes:read'],
      role: 'merchant',
      expiresAt: now + day,
    };
    expect(await keys.update(actor, strong.id, change)).toMatchObject(change);
  });

  test.each([
    ['scopes', { scopes: ['notes', 'money'] }],
    ['role', { role: 'platform_operator' }],
    ['expiry', { expiresAt: null }],
  ])('a raised %s is refused when it is more than the changer has', async (_what, change) => {
    const actor = toActor({ scopes: ['notes'], expiresAt: now + 2 * day });
    const key = await create(operator, { expiresAt: now + day });
    await refuse(keys.update(actor, key.id, change), 'forbidden');
    expect(await keys.load(operator, key.id)).toEqual(key);
  });

  test('a stronger key cannot be switched on again, nor be given any further right', async () => {
    const actor = toActor({ scopes: ['notes'] });
    const strong = await create(operator, { scopes: ['money'], expiresAt: now + day });
    await refuse(keys.update(actor, strong.id, { expiresAt: now + 2 * day }), 'forbidden');
    await keys.update(actor, strong.id, { isActive: false });
    await refuse(keys.update(actor, strong.id, { isActive: true }), 'forbidden');
  });

  test('a revoked key stays revoked; revoking it again changes nothing', async () => {
    const key = await create();
    const revoked = await keys.revoke(operator, key.id);
    expect(revoked).toMatchObject({ isActive: false, revokedAt: now });
    now += 1000;
    expect(await keys.revoke(operator, key.id)).toEqual(revoked);
    await refuse(keys.update(operator, key.id, { isActive: true }), 'conflict', /revoked/);
  });

  test('changes at the same time are all kept', async () => {
    const key = await create();
    await Promise.all([
      keys.update(operator, key.id, { name: 'one' }),
      keys.update(operator, key.id, { scopes: ['two'] }),
      keys.update(operator, key.id, { expiresAt: now + day }),
    ]);
    expect(await keys.load(operator, key.id)).toMatchObject({
      name: 'one',
      scopes: ['two'],
      expiresAt: now + day,
    });
  });
});

describe('rotating', () => {
  test('keeps the rights and the lineage, and both keys through the overlap', async () => {
    const first = await create(operator, { expiresAt: now + 90 * day });
    const second = (await keys.rotate(operator, first.id)).key;
    const third = (await keys.rotate(operator, second.id, { overlapSeconds: 0, expiresAt: now + 180 * day }))
      .key;
    expect(second).toMatchObject({
      ...input,
      expiresAt: now + 90 * day,
      rotatedFrom: first.id,
      lineageId: first.id,
    });
    expect(third).toMatchObject({ expiresAt: now + 180 * day, rotatedFrom: second.id, lineageId: first.id });
    expect(toKeyEnd(await keys.load(operator, first.id))).toBe(now + day);
    expect(isKeyUsable(await keys.load(operator, second.id), now)).toBe(false);
  });

  test('a key that was rotated, revoked, switched off or has expired is a conflict that says why', async () => {
    const [rotated, revoked, inactive] = [await create(), await create(), await create()];
    const expired = await create(operator, { expiresAt: now + 1 });
    await keys.rotate(operator, rotated.id);
    await keys.revoke(operator, revoked.id);
    await keys.update(operator, inactive.id, { isActive: false });
    now += 1;
    await refuse(keys.rotate(operator, rotated.id), 'conflict', /already rotated/);
    await refuse(keys.rotate(operator, revoked.id), 'conflict', /revoked/);
    await refuse(keys.rotate(operator, inactive.id), 'conflict', /inactive/);
    await refuse(keys.rotate(operator, expired.id), 'conflict', /expired/);
  });

  test('at the same time leaves one successor; against a revocation, none that outlives a check', async () => {
    const key = await create();
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => keys.rotate(operator, key.id)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect((await keys.list(operator, { tenantId: 'cafe' })).keys).toHaveLength(2);
    const other = await create();
    const [revoked, rotated] = await Promise.allSettled([
      keys.revoke(operator, other.id),
      keys.rotate(operator, other.id),
    ]);
    expect(revoked.status).toBe('fulfilled');
    expect(await keys.load(operator, other.id)).toMatchObject({ isActive: false });
    if (rotated.status === 'rejected') expect(rotated.reason).toBeInstanceOf(RequestError);
  });

  test('a stronger key is refused: its successor would be handed to the weaker', async () => {
    const strong = await create(operator, { scopes: ['*'] });
    await refuse(keys.rotate(toActor({ scopes: ['notes'] }), strong.id), 'forbidden');
    await refuse(keys.rotate(toActor({ expiresAt: now + day }), strong.id), 'forbidden', /outlive/);
    await keys.rotate(toActor({ expiresAt: now + day }), strong.id, { expiresAt: now + day });
  });

  test.each([-1, 0.5, maxOverlapSeconds + 1, Number.NaN, Infinity])(
    'an overlap of %d is refused',
    async (overlapSeconds) => {
      const key = await create();
      await refuse(keys.rotate(operator, key.id, { overlapSeconds }), 'request_invalid');
    },
  );
});

test('whatever a caller tries, no key ever ends up stronger than the caller or than it was', async () => {
  const roles = fc.constantFrom('platform_operator', 'tenant_developer', 'merchant', 'cashier', 'auditor');
  const scopes = fc.uniqueArray(fc.constantFrom('*', 'a', 'a:b', 'a:b:c', 'ab', 'b', 'keys', 'keys:manage'), {
    minLength: 1,
    maxLength: 3,
  });
  const expiry = fc
    .constantFrom(undefined, 1, 2, 3)
    .map((days) => (days === undefined ? {} : { expiresAt: now + days * day }));
  const strength = fc
    .tuple(roles, scopes, expiry)
    .map(([role, held, end]) => ({ role, scopes: held, ...end }));
  const caller = fc.tuple(strength, fc.constantFrom(['cafe'], ['shop'], ['cafe', 'shop']));
  const update = fc.record(
    {
      role: roles,
      scopes,
      isActive: fc.boolean(),
      expiresAt: fc.constantFrom(null, now + day, now + 3 * day),
    },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(
      caller,
      strength,
      strength,
      update,
      async ([held, tenantIds], existing, wanted, change) => {
        const actor = toActor({ ...held, tenantIds });
        const before = await create(operator, existing);
        const minted = await Promise.all([
          keys.create(actor, { ...input, ...wanted }).then(({ key }) => key, ignoreRefusal),
          keys.update(actor, before.id, change).catch(ignoreRefusal),
          keys.rotate(actor, (await create(operator, existing)).id).then(({ key }) => key, ignoreRefusal),
        ]);
        const [created, updated, rotated] = minted;
        for (const key of [created, rotated]) if (key !== undefined) expectWithin(key, actor.principal);
        if (updated !== undefined && !isWithin(updated, before)) expectWithin(updated, actor.principal);
      },
    ),
    { numRuns: 150 },
  );
});

function ignoreRefusal(error: unknown): undefined {
  if (!(error instanceof RequestError)) throw error;
  return undefined;
}

function expectWithin(key: ApiKey, caller: Principal): void {
  expect(isWithin(key, caller), JSON.stringify({ key, caller })).toBe(true);
  expect(caller.role === 'platform_operator' || caller.tenantIds.includes(key.tenantId)).toBe(true);
}

function isWithin(
  key: ApiKey,
  limit: Pick<Principal, 'role' | 'scopes' | 'expiresAt'> & { isActive?: boolean },
): boolean {
  return (
    (limit.isActive ?? true) &&
    isRoleCovered(key.role, limit.role) &&
    areScopesCovered(key.scopes, limit.scopes) &&
    (key.expiresAt ?? Infinity) <= (limit.expiresAt ?? Infinity)
  );
}
