import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Revocation, RevocationEvent, RevocationStore } from './revocation-store.ts';

/** Two openings of the same, empty data, as two processes would have. */
export interface OpenedRevocationStores {
  readonly revocations: RevocationStore;
  readonly otherRevocations: RevocationStore;
  close(): Promise<void>;
}

/** What every maker of `RevocationStore` keeps to. */
export function describeRevocationStore(name: string, open: () => Promise<OpenedRevocationStores>): void {
  describe(`${name} keeps revocations`, () => {
    let stores: OpenedRevocationStores;
    let revocations: RevocationStore;

    beforeEach(async () => {
      stores = await open();
      ({ revocations } = stores);
    });
    afterEach(() => stores.close());

    test('what is stored is listed as it is, and its number grows', async () => {
      const before = await revocations.loadRevision();
      const first = await revocations.insert(toRevocation(1));
      expect(first).toEqual({ ...toRevocation(1), revision: first.revision });
      expect(first.revision).toBeGreaterThan(before);
      const second = await stores.otherRevocations.insert({ ...toRevocation(2), kind: 'tenant' });
      expect(await revocations.listChanges(before, 10)).toEqual([first, second]);
      expect(await revocations.listChanges(first.revision, 10)).toEqual([second]);
      expect(await revocations.listChanges(before, 1)).toEqual([first]);
      expect(await revocations.loadRevision()).toBe(second.revision);
    });

    test('an entry moves forward, never back, and the kinds do not share their names', async () => {
      const given = toRevocation(1);
      await revocations.insert(given);
      const later = { ...given, revokedAt: given.revokedAt + 5, expiresAt: given.expiresAt + 5 };
      expect(await revocations.insert(later)).toMatchObject(later);
      const earlier = { ...given, revokedAt: 1, expiresAt: 1 };
      const kept = await stores.otherRevocations.insert(earlier);
      expect(kept).toMatchObject(later);
      const other = await revocations.insert({ ...earlier, kind: 'session' });
      expect(other).toMatchObject({ ...earlier, kind: 'session' });
      expect(await revocations.listChanges(0, 10)).toEqual([kept, other]);
    });

    test('names may be as long as they may be, and of any characters', async () => {
      const long = { ...toRevocation(1), name: `é|"\\${'x'.repeat(507)}` };
      expect(await revocations.insert(long)).toMatchObject(long);
    });

    test('of many at once on one name, the latest stands, and a reader misses none of the others', async () => {
      const inserted = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          (n % 2 === 0 ? revocations : stores.otherRevocations).insert(
            n < 10 ? { ...toRevocation(0), revokedAt: 1_800_000_000_000 + n } : toRevocation(n),
          ),
        ),
      );
      expect(new Set(inserted.map(({ revision }) => revision)).size).toBe(20);
      const listed = await revocations.listChanges(0, 100);
      expect(listed).toHaveLength(11);
      expect(listed.find(({ name: each }) => each === 'name-0')).toMatchObject({
        revokedAt: 1_800_000_000_009,
      });
      const numbers = listed.map(({ revision }) => revision);
      expect(numbers).toEqual(numbers.toSorted((one, other) => one - other));
    });

    test('who follows the changes by their numbers while many are made sees all of them', async () => {
      const seen = new Set<string>();
      let revision = 0;
      const look = async (): Promise<void> => {
        const latest = await stores.otherRevocations.loadRevision();
        for (const change of await stores.otherRevocations.listChanges(revision, 100)) seen.add(change.name);
        revision = Math.max(revision, latest);
      };
      const making = Promise.all(
        Array.from({ length: 30 }, (_, n) =>
          (n % 2 === 0 ? revocations : stores.otherRevocations).insert(toRevocation(n)),
        ),
      );
      let isMade = false;
      const made = making.then(() => {
        isMade = true;
      });
      while (!isMade) await look();
      await made;
      await look();
      expect(seen.size).toBe(30);
    });

    test('a change is told before its promise resolves, and not after the listener left', async () => {
      const told: RevocationEvent[] = [];
      const stop = revocations.onChange((event) => told.push(event));
      const revocation = await revocations.insert(toRevocation(1));
      expect(told).toContainEqual({ kind: 'changed', revocation });
      stop();
      told.length = 0;
      await revocations.insert(toRevocation(2));
      expect(told).toEqual([]);
    });

    test('another opening can notice a change: by the marker at once, or by being told soon', async () => {
      let isTold = false;
      revocations.onChange(() => {
        isTold = true;
      });
      const marker = revocations.readMarker();
      await stores.otherRevocations.insert(toRevocation(1));
      if (marker === undefined) await expect.poll(() => isTold, { timeout: 10_000 }).toBe(true);
      else expect(revocations.readMarker()).not.toBe(marker);
    });

    test('entries that expired are forgotten, others are not', async () => {
      await revocations.insert({ ...toRevocation(1), expiresAt: 100 });
      await revocations.insert({ ...toRevocation(2), expiresAt: 101 });
      expect(await revocations.removeExpired(100)).toBe(1);
      expect((await revocations.listChanges(0, 10)).map(({ name: each }) => each)).toEqual(['name-2']);
    });
  });
}

function toRevocation(n: number): Omit<Revocation, 'revision'> {
  return {
    kind: 'user',
    name: `name-${n}`,
    revokedAt: 1_790_000_000_000 + n,
    expiresAt: 1_795_000_000_000 + n,
  };
}
