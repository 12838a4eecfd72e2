import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ensureFirstTenantAndKey, type FirstRunStore } from './first-run.ts';
import { toKeyHash } from './key-secret.ts';
import type { ApiKeyStore } from './api-key-store.ts';
import type { Tenant, TenantStore } from './tenant-store.ts';

/** Two openings of the same, empty data, as two processes would have. */
export interface OpenedTenantStores {
  readonly tenants: TenantStore & FirstRunStore;
  readonly otherTenants: TenantStore & FirstRunStore;
  readonly keys: ApiKeyStore;
  close(): Promise<void>;
}

/** What every maker of `TenantStore` and `FirstRunStore` keeps to. */
export function describeTenantStore(name: string, open: () => Promise<OpenedTenantStores>): void {
  describe(`${name} keeps tenants`, () => {
    let stores: OpenedTenantStores;
    let tenants: TenantStore & FirstRunStore;

    beforeEach(async () => {
      stores = await open();
      tenants = stores.tenants;
    });
    afterEach(() => stores.close());

    test('a tenant is found by id and by name; an id is taken once', async () => {
      const cafe: Tenant = { id: 'cafe', name: 'Café "Zum Hirschen"', createdAt: 1_790_000_000_000 };
      expect(await tenants.insert(cafe)).toBe(true);
      expect(await tenants.insert({ ...cafe, name: 'other' })).toBe(false);
      expect(await tenants.findById('cafe')).toEqual(cafe);
      expect(await tenants.findByName(cafe.name, 2)).toEqual([cafe]);
      expect(await tenants.findById('nobody')).toBeUndefined();
      expect(await tenants.findByName('other', 2)).toEqual([]);
    });

    test('pages run oldest first', async () => {
      for (const id of ['c', 'a', 'b'])
        await tenants.insert({ id, name: 'same', createdAt: id === 'c' ? 1 : 2 });
      const first = await tenants.list(2);
      expect(first.map(({ id }) => id)).toEqual(['c', 'a']);
      expect((await tenants.list(2, first[1])).map(({ id }) => id)).toEqual(['b']);
      expect(await tenants.findByName('same', 2)).toHaveLength(2);
    });

    test('of several first starts at once, one makes the tenant and its key', async () => {
      const results = await Promise.all(
        [tenants, stores.otherTenants, tenants, stores.otherTenants].map((store) =>
          ensureFirstTenantAndKey(store),
        ),
      );
      const made = results.filter((result) => result !== undefined);
      expect(made).toHaveLength(1);
      expect(await tenants.list(10)).toEqual([made[0]?.tenant]);
      expect(await stores.keys.findByHash(toKeyHash(made[0]?.secret ?? ''))).toEqual(made[0]?.key);
    });

    test('a store with a tenant is no first run', async () => {
      await tenants.insert({ id: 'cafe', name: 'Cafe', createdAt: 1 });
      expect(await ensureFirstTenantAndKey(tenants)).toBeUndefined();
      expect(await tenants.list(10)).toHaveLength(1);
    });
  });
}
