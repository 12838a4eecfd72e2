import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TenantStore } from '../tenant-store.ts';
import type { Membership, User, UserStore } from './user-store.ts';

/** Two openings of the same, empty data, as two processes would have. */
export interface OpenedUserStores {
  readonly users: UserStore;
  readonly otherUsers: UserStore;
  readonly tenants: TenantStore;
  close(): Promise<void>;
}

/** What every maker of `UserStore` keeps to. */
export function describeUserStore(name: string, open: () => Promise<OpenedUserStores>): void {
  describe(`${name} keeps users`, () => {
    let stores: OpenedUserStores;
    let users: UserStore;

    beforeEach(async () => {
      stores = await open();
      ({ users } = stores);
      await stores.tenants.insert({ id: 'cafe', name: 'Cafe', createdAt: 1 });
      await stores.tenants.insert({ id: 'shop', name: 'Shop', createdAt: 2 });
    });
    afterEach(() => stores.close());

    test('a user is found by id and by identity, with everything it was stored with', async () => {
      const full: User = { ...toUser(1), name: 'Ann "Á" B', email: 'ann@example.com', isActive: false };
      expect(await users.insert(full, 'hash')).toBe(true);
      expect(await users.insert(toUser(2))).toBe(true);
      expect(await stores.otherUsers.findById('user-1')).toEqual(full);
      expect(await users.findByIdentity('local', 'name-1')).toEqual(full);
      expect(await users.findById('user-2')).toEqual(toUser(2));
      expect(Object.keys((await users.findById('user-2')) ?? {})).toHaveLength(5);
      expect(await users.findByIdentity('https://issuer.example', 'name-1')).toBeUndefined();
      expect(await users.findById('nobody')).toBeUndefined();
    });

    test('an id, and a subject of one issuer, are taken once; another issuer may have the same subject', async () => {
      expect(await users.insert(toUser(1), 'hash')).toBe(true);
      expect(await users.insert({ ...toUser(1), subject: 'other' })).toBe(false);
      expect(await users.insert({ ...toUser(1), id: 'other' }, 'stolen')).toBe(false);
      expect(await users.insert({ ...toUser(1), id: 'other', issuer: 'https://issuer.example' })).toBe(true);
      expect(await users.findById('user-1')).toEqual(toUser(1));
      expect(await users.loadPasswordHash('user-1')).toBe('hash');
    });

    test('a user is stored with a membership, or not at all', async () => {
      const { userId: _, ...cafe } = toMembership('cafe');
      expect(await users.insert(toUser(1), undefined, { ...cafe, tenantId: 'nowhere' })).toBe(false);
      expect(await users.findById('user-1')).toBeUndefined();
      expect(await users.insert(toUser(1), undefined, cafe)).toBe(true);
      expect(await users.insert({ ...toUser(2), subject: 'name-1' }, undefined, cafe)).toBe(false);
      expect(await stores.otherUsers.listMemberships('user-1')).toEqual([toMembership('cafe')]);
    });

    test('of many that take the same name at once, one gets it', async () => {
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          (n % 2 === 0 ? users : stores.otherUsers).insert({ ...toUser(n), subject: 'same' }),
        ),
      );
      expect(results.filter(Boolean)).toHaveLength(1);
      expect(await users.list(100)).toHaveLength(1);
    });

    test('pages run oldest first, and users of one moment are not lost between them', async () => {
      for (const n of [5, 4, 3, 2, 1]) await users.insert({ ...toUser(n), createdAt: n < 4 ? 10 : 20 });
      const seen: string[] = [];
      let after: User | undefined;
      do {
        const page: readonly User[] = await users.list(2, after);
        seen.push(...page.map(({ id }) => id));
        after = page.at(-1);
      } while (after !== undefined);
      expect(seen).toEqual([1, 2, 3, 4, 5].map((n) => `user-${n}`));
    });

    test('an update changes what it names, clears what it clears, and leaves the rest', async () => {
      const user: User = { ...toUser(1), name: 'Ann', email: 'ann@example.com' };
      await users.insert(user, 'hash');
      expect(await users.update('user-1', { email: undefined, isActive: false })).toEqual({
        ...toUser(1),
        name: 'Ann',
        isActive: false,
      });
      expect(await users.update('user-1', { isActive: true, name: 'Bea' })).toEqual({
        ...toUser(1),
        name: 'Bea',
      });
      expect(await users.update('user-1', {})).toEqual({ ...toUser(1), name: 'Bea' });
      expect(await users.update('nobody', { name: 'x' })).toBeUndefined();
      expect(await users.loadPasswordHash('user-1')).toBe('hash');
    });

    test('a password is set and replaced; who has none has none', async () => {
      await users.insert(toUser(1));
      expect(await users.loadPasswordHash('user-1')).toBeUndefined();
      expect(await users.loadPasswordHash('nobody')).toBeUndefined();
      expect(await users.setPasswordHash('user-1', 'one')).toBe(true);
      expect(await users.setPasswordHash('user-1', 'two')).toBe(true);
      expect(await users.setPasswordHash('nobody', 'x')).toBe(false);
      expect(await stores.otherUsers.loadPasswordHash('user-1')).toBe('two');
    });

    test('memberships are listed oldest first, inactive ones too, and are one for each tenant', async () => {
      await users.insert(toUser(1));
      await users.insert(toUser(2));
      const shop: Membership = { ...toMembership('shop'), scopes: ['a', 'quoted"'], isActive: false };
      const cafe: Membership = { ...toMembership('cafe'), createdAt: shop.createdAt + 1 };
      expect(await users.setMembership(cafe)).toBe(true);
      expect(await users.setMembership(shop)).toBe(true);
      expect(await stores.otherUsers.listMemberships('user-1')).toEqual([shop, cafe]);
      expect(await users.listMemberships('user-2')).toEqual([]);
      const changed: Membership = { ...cafe, role: 'platform_operator', scopes: ['b'], isActive: false };
      expect(await users.setMembership(changed)).toBe(true);
      expect(await users.listMemberships('user-1')).toEqual([shop, changed]);
    });

    test('nobody is a member of a tenant that is not there, nor is anybody who is not there', async () => {
      await users.insert(toUser(1));
      expect(await users.setMembership(toMembership('nowhere'))).toBe(false);
      expect(await users.setMembership({ ...toMembership('cafe'), userId: 'nobody' })).toBe(false);
      expect(await users.listMemberships('user-1')).toEqual([]);
    });

    test('of many that make somebody a member at once, each succeeds and one membership is left', async () => {
      await users.insert(toUser(1));
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          (n % 2 === 0 ? users : stores.otherUsers).setMembership({ ...toMembership('cafe'), role: `r${n}` }),
        ),
      );
      expect(results.every(Boolean)).toBe(true);
      expect(await users.listMemberships('user-1')).toHaveLength(1);
    });

    test('a membership is removed, once, and no other with it', async () => {
      await users.insert(toUser(1));
      await users.setMembership(toMembership('cafe'));
      await users.setMembership(toMembership('shop'));
      expect(await users.removeMembership('user-1', 'cafe')).toBe(true);
      expect(await users.removeMembership('user-1', 'cafe')).toBe(false);
      expect(await users.listMemberships('user-1')).toEqual([toMembership('shop')]);
    });
  });
}

function toUser(n: number): User {
  return {
    id: `user-${n}`,
    issuer: 'local',
    subject: `name-${n}`,
    isActive: true,
    createdAt: 1_790_000_000_000 + n,
  };
}

function toMembership(tenantId: string): Membership {
  return {
    userId: 'user-1',
    tenantId,
    role: 'merchant',
    scopes: ['*'],
    isActive: true,
    createdAt: 1_790_000_000_000,
  };
}
