import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SigningKeyStore, StoredSigningKey } from './signing-key-store.ts';

/** Two openings of the same, empty data, as two processes would have. */
export interface OpenedSigningKeyStores {
  readonly signingKeys: SigningKeyStore;
  readonly otherSigningKeys: SigningKeyStore;
  close(): Promise<void>;
}

/** What every maker of `SigningKeyStore` keeps to. */
export function describeSigningKeyStore(name: string, open: () => Promise<OpenedSigningKeyStores>): void {
  describe(`${name} keeps signing keys`, () => {
    let stores: OpenedSigningKeyStores;
    let keys: SigningKeyStore;

    beforeEach(async () => {
      stores = await open();
      keys = stores.signingKeys;
    });
    afterEach(() => stores.close());

    test('keys are listed oldest first, as they were stored, also those of one moment', async () => {
      expect(await keys.list()).toEqual([]);
      const made = ['c', 'a', 'b'].map(toKey);
      for (const [n, key] of made.entries()) expect(await keys.insert(key, made[n - 1]?.id)).toBe(true);
      const listed = await stores.otherSigningKeys.list();
      expect(listed.map(({ id }) => id)).toEqual(['c', 'a', 'b']);
      expect(listed[2]).toEqual(toKey('b'));
    });

    test('a new key retires those before it from its own beginning on, and none later than they already were', async () => {
      await keys.insert(toKey('first'), undefined);
      await keys.insert({ ...toKey('second'), activeAt: 5000 }, 'first');
      expect((await keys.list()).map(({ retiredAt }) => retiredAt)).toEqual([5000, undefined]);
      await keys.insert({ ...toKey('third'), activeAt: 9000 }, 'second');
      expect((await keys.list()).map(({ retiredAt }) => retiredAt)).toEqual([5000, 9000, undefined]);
      // At once, because the others leaked.
      await keys.insert({ ...toKey('fourth'), activeAt: 4000 }, 'third');
      expect((await keys.list()).map(({ retiredAt }) => retiredAt)).toEqual([4000, 4000, 4000, undefined]);
    });

    test('a key is stored only by who knows the newest one, and otherwise nothing changes', async () => {
      expect(await keys.insert(toKey('first'), 'unknown')).toBe(false);
      expect(await keys.insert(toKey('first'), undefined)).toBe(true);
      expect(await keys.insert(toKey('second'), undefined)).toBe(false);
      expect(await keys.insert(toKey('second'), 'first')).toBe(true);
      const before = await keys.list();
      expect(await keys.insert(toKey('third'), 'first')).toBe(false);
      expect(await keys.insert(toKey('first'), 'second')).toBe(false);
      expect(await keys.list()).toEqual(before);
    });

    test.each(['no key', 'one key'])(
      'of many that store the next one at once, one does: after %s',
      async (before) => {
        if (before === 'one key') await keys.insert(toKey('first'), undefined);
        const results = await Promise.all(
          Array.from({ length: 20 }, (_, n) =>
            (n % 2 === 0 ? keys : stores.otherSigningKeys).insert(
              { ...toKey(`next-${n}`), activeAt: 5000 + n },
              before === 'one key' ? 'first' : undefined,
            ),
          ),
        );
        expect(results.filter(Boolean)).toHaveLength(1);
        const winner = results.indexOf(true);
        const listed = await keys.list();
        expect(listed.at(-1)).toEqual({ ...toKey(`next-${winner}`), activeAt: 5000 + winner });
        expect(listed.slice(0, -1).map(({ retiredAt }) => retiredAt)).toEqual(
          before === 'one key' ? [5000 + winner] : [],
        );
      },
    );

    test('a private key is sealed anew only by who read what is there', async () => {
      await keys.insert(toKey('first'), undefined);
      expect(await keys.reseal('first', 'other', 'new')).toBe(false);
      expect(await keys.reseal('nobody', 'sealed first', 'new')).toBe(false);
      expect(await keys.reseal('first', 'sealed first', 'new')).toBe(true);
      expect(await keys.list()).toEqual([{ ...toKey('first'), sealedPrivateJwk: 'new' }]);
    });

    test('keys that retired before a moment are forgotten, the newest never', async () => {
      await keys.insert(toKey('first'), undefined);
      await keys.insert({ ...toKey('second'), activeAt: 5000 }, 'first');
      await keys.insert({ ...toKey('third'), activeAt: 6000 }, 'second');
      expect(await keys.removeRetired(5000)).toBe(0);
      expect(await keys.removeRetired(6000)).toBe(1);
      expect((await keys.list()).map(({ id }) => id)).toEqual(['second', 'third']);
      expect(await keys.removeRetired(9_000_000_000_000)).toBe(1);
      expect((await keys.list()).map(({ id }) => id)).toEqual(['third']);
      expect(await keys.insert(toKey('fourth'), 'third')).toBe(true);
    });
  });
}

function toKey(id: string): StoredSigningKey {
  return {
    id,
    publicJwk: `{"kid":"${id}"}`,
    sealedPrivateJwk: `sealed ${id}`,
    createdAt: 1_790_000_000_000,
    activeAt: 1_790_000_000_001,
  };
}
