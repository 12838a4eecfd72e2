import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ApiKey } from './api-key.ts';
import type { ApiKeyEvent, ApiKeyStore, NewApiKey } from './api-key-store.ts';
import type { TenantStore } from './tenant-store.ts';

/** Two openings of the same, empty data, as two processes would have. */
export interface OpenedKeyStores {
  readonly keys: ApiKeyStore;
  readonly tenants: TenantStore;
  readonly otherKeys: ApiKeyStore;
  close(): Promise<void>;
}

/** What every maker of `ApiKeyStore` keeps to. */
export function describeApiKeyStore(name: string, open: () => Promise<OpenedKeyStores>): void {
  describe(`${name} keeps API keys`, () => {
    let stores: OpenedKeyStores;
    let keys: ApiKeyStore;

    beforeEach(async () => {
      stores = await open();
      keys = stores.keys;
      await stores.tenants.insert({ id: 'cafe', name: 'Cafe', createdAt: 1 });
      await stores.tenants.insert({ id: 'shop', name: 'Shop', createdAt: 2 });
    });
    afterEach(() => stores.close());

    test('a key is found by hash and by id, with everything it was stored with', async () => {
      const full: NewApiKey = {
        ...toKey(1),
        scopes: ['notes:read', 'quoted"and\\slashed'],
        isActive: false,
        createdBy: 'operator',
        expiresAt: 9_000_000_000_001,
        graceUntil: 9_000_000_000_002,
        revokedAt: 9_000_000_000_003,
        lastUsedAt: 9_000_000_000_004,
      };
      const stored = await keys.insert(full, toHash(1));
      expect(stored).toEqual({ ...full, revision: stored.revision });
      expect(await keys.findByHash(toHash(1))).toEqual(stored);
      expect(await keys.findById(full.id)).toEqual(stored);
      expect(await keys.findByHash(toHash(2))).toBeUndefined();
      expect(await keys.findById('nobody')).toBeUndefined();
    });

    test('absent values stay absent', async () => {
      const stored = await keys.insert(toKey(1), toHash(1));
      expect(Object.keys((await keys.findById(stored.id)) ?? {}).sort()).toEqual(Object.keys(stored).sort());
    });

    test('a hash cannot be stored twice, nor a key for a tenant that does not exist', async () => {
      await keys.insert(toKey(1), toHash(1));
      await expect(keys.insert(toKey(2), toHash(1))).rejects.toThrow();
      await expect(keys.insert({ ...toKey(3), tenantId: 'nobody' }, toHash(3))).rejects.toThrow();
      expect(await keys.list('cafe', 10)).toHaveLength(1);
    });

    test('pages run oldest first through one tenant, and keys of one moment are not lost between them', async () => {
      for (let n = 1; n <= 5; n += 1)
        await keys.insert({ ...toKey(n), createdAt: n < 4 ? 10 : 20 }, toHash(n));
      await keys.insert({ ...toKey(6), tenantId: 'shop' }, toHash(6));
      const seen: string[] = [];
      let after: ApiKey | undefined;
      do {
        const page: readonly ApiKey[] = await keys.list('cafe', 2, after);
        seen.push(...page.map(({ id }) => id));
        after = page.at(-1);
      } while (after !== undefined);
      expect(seen).toEqual([1, 2, 3, 4, 5].map((n) => toKey(n).id));
    });

    test('counts only keys that can still be used', async () => {
      await keys.insert(toKey(1), toHash(1));
      await keys.insert({ ...toKey(2), isActive: false }, toHash(2));
      await keys.insert({ ...toKey(3), revokedAt: 5 }, toHash(3));
      await keys.insert({ ...toKey(4), expiresAt: 100 }, toHash(4));
      await keys.insert({ ...toKey(5), graceUntil: 100 }, toHash(5));
      await keys.insert({ ...toKey(6), tenantId: 'shop' }, toHash(6));
      expect(await keys.count('cafe', 99)).toBe(4);
      expect(await keys.count('cafe', 100)).toBe(2);
    });

    test('an update changes what it names, clears what it clears, and leaves the rest', async () => {
      const stored = await keys.insert({ ...toKey(1), expiresAt: 50 }, toHash(1));
      const renamed = await keys.update(stored, { name: 'new', isActive: false });
      expect(renamed).toEqual({ ...stored, name: 'new', isActive: false, revision: renamed?.revision });
      const cleared = await keys.update(renamed ?? stored, { expiresAt: undefined, scopes: ['a'] });
      expect(cleared).not.toHaveProperty('expiresAt');
      expect(cleared).toMatchObject({ name: 'new', scopes: ['a'] });
    });

    test('of many writers that read the same key, one wins', async () => {
      const stored = await keys.insert(toKey(1), toHash(1));
      const results = await Promise.all(
        [1, 2, 3, 4, 5, 6].map((n) =>
          (n % 2 ? keys : stores.otherKeys).update(stored, { name: `writer ${n}` }),
        ),
      );
      const winners = results.filter((key) => key !== undefined);
      expect(winners).toHaveLength(1);
      expect(await keys.findById(stored.id)).toEqual(winners[0]);
    });

    test('of many rotations of one key, one wins, and no other leaves a successor', async () => {
      const stored = await keys.insert(toKey(1), toHash(1));
      const results = await Promise.all(
        [2, 3, 4, 5].map((n) =>
          (n % 2 ? keys : stores.otherKeys).rotate(
            stored,
            500,
            { ...toKey(n), rotatedFrom: stored.id },
            toHash(n),
          ),
        ),
      );
      expect(results.filter((key) => key !== undefined)).toHaveLength(1);
      expect(await keys.list('cafe', 10)).toHaveLength(2);
      expect(await keys.findById(stored.id)).toMatchObject({ graceUntil: 500 });
    });

    test('a rotation whose successor cannot be stored does not touch the old key', async () => {
      const stored = await keys.insert(toKey(1), toHash(1));
      await expect(keys.rotate(stored, 500, toKey(2), toHash(1))).rejects.toThrow();
      expect(await keys.findById(stored.id)).toEqual(stored);
    });

    test('last use is noted for many keys, never goes back, and is not a change', async () => {
      const first = await keys.insert(toKey(1), toHash(1));
      const second = await keys.insert(toKey(2), toHash(2));
      await keys.recordUse(
        new Map([
          [first.id, 1_700_000_000_000],
          [second.id, 1_700_000_000_001],
          ['gone', 5],
        ]),
      );
      await keys.recordUse(new Map([[first.id, 1_600_000_000_000]]));
      await keys.recordUse(new Map());
      expect(await keys.findById(first.id)).toEqual({ ...first, lastUsedAt: 1_700_000_000_000 });
      expect(await keys.findById(second.id)).toEqual({ ...second, lastUsedAt: 1_700_000_000_001 });
    });

    test('changes since a revision are listed in their order, by another opening too', async () => {
      const first = await keys.insert(toKey(1), toHash(1));
      const second = await keys.insert(toKey(2), toHash(2));
      const before = await stores.otherKeys.loadRevision();
      expect(await stores.otherKeys.listChanges(before, 10)).toEqual([]);
      await keys.update(second, { name: 'b' });
      const latest = await keys.update(first, { name: 'a' });
      const changes = await stores.otherKeys.listChanges(before, 10);
      expect(changes.map(({ id }) => id)).toEqual([second.id, first.id]);
      expect(await stores.otherKeys.listChanges(before, 1)).toHaveLength(1);
      expect(await stores.otherKeys.loadRevision()).toBe(latest?.revision);
    });

    test('a change is told before its promise resolves, and not after the listener left', async () => {
      const told: ApiKeyEvent[] = [];
      const stored = await keys.insert(toKey(1), toHash(1));
      const stop = keys.onChange((event) => told.push(event));
      await keys.update(stored, { name: 'told' });
      expect(told).toContainEqual({ kind: 'changed', key: expect.objectContaining({ name: 'told' }) });
      stop();
      told.length = 0;
      await keys.insert(toKey(2), toHash(2));
      expect(told).toEqual([]);
    });

    test('a rotation tells of both keys', async () => {
      const told: string[] = [];
      const stored = await keys.insert(toKey(1), toHash(1));
      keys.onChange((event) => event.kind === 'changed' && told.push(event.key.id));
      await keys.rotate(stored, 500, toKey(2), toHash(2));
      expect(told).toEqual([stored.id, toKey(2).id]);
    });

    test('another opening can notice a change: by the marker at once, or by being told soon', async () => {
      let isTold = false;
      keys.onChange((event) => {
        if (event.kind === 'unknown') isTold = true;
      });
      const marker = keys.readMarker();
      const stored = await stores.otherKeys.insert(toKey(1), toHash(1));
      await stores.otherKeys.update(stored, { name: 'elsewhere' });
      if (marker === undefined) await expect.poll(() => isTold).toBe(true);
      else expect(keys.readMarker()).not.toBe(marker);
    });
  });
}

function toKey(n: number): NewApiKey {
  const id = `key-${n}`;
  return {
    id,
    tenantId: 'cafe',
    name: `key ${n}`,
    scopes: ['*'],
    role: 'merchant',
    isActive: true,
    lineageId: id,
    hint: `test_mcp_...${n}`,
    createdAt: 1_790_000_000_000 + n,
  };
}

function toHash(n: number): string {
  return n.toString(16).padStart(64, '0');
}
