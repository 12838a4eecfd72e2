import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Succession, TokenFamily, TokenFamilyStore } from './token-family-store.ts';

/** Two openings of the same, empty data, as two processes would have. */
export interface OpenedTokenFamilyStores {
  readonly tokenFamilies: TokenFamilyStore;
  readonly otherTokenFamilies: TokenFamilyStore;
  close(): Promise<void>;
}

const graceMs = 60;
const modelRuns = 25;

/** What every maker of `TokenFamilyStore` keeps to. */
export function describeTokenFamilyStore(name: string, open: () => Promise<OpenedTokenFamilyStores>): void {
  describe(`${name} keeps token families`, () => {
    let stores: OpenedTokenFamilyStores;
    let families: TokenFamilyStore;

    beforeEach(async () => {
      stores = await open();
      families = stores.tokenFamilies;
    });
    afterEach(() => stores.close());

    function succeed(fromId: string, toId: string, now: number): Promise<Succession> {
      return families.succeed('family', { fromId, toId, now, graceMs });
    }

    test('a family is found as it was stored', async () => {
      const family = { ...toFamily(), scopes: ['notes:read', 'quoted"'] };
      await families.insert(family);
      expect(await stores.otherTokenFamilies.findById('family')).toEqual(family);
      expect(await families.findById('nobody')).toBeUndefined();
      await expect(families.insert(family)).rejects.toThrow();
    });

    test('each token has one successor, which whoever comes again within the grace gets too', async () => {
      await families.insert(toFamily());
      const after = { ...toFamily(), latestId: 'b' };
      expect(await succeed('a', 'b', 100)).toEqual({ kind: 'succeeded', family: after });
      expect(await succeed('a', 'x', 100 + graceMs)).toEqual({ kind: 'repeated', family: after });
      expect(await succeed('b', 'c', 110)).toMatchObject({ kind: 'succeeded' });
      // Two generations on within the grace of the first: still who raced, and gets what is newest.
      expect(await succeed('a', 'x', 120)).toEqual({ kind: 'repeated', family: { ...after, latestId: 'c' } });
    });

    test('a token that comes again after its grace is known for a copy, however many generations ago', async () => {
      await families.insert(toFamily());
      await succeed('a', 'b', 100);
      await succeed('b', 'c', 200);
      await succeed('c', 'd', 300);
      expect(await succeed('c', 'x', 301 + graceMs)).toMatchObject({ kind: 'reused' });
      expect(await succeed('a', 'x', 301)).toMatchObject({ kind: 'reused' });
      // Nothing has changed: what follows from it is for the caller.
      expect(await succeed('d', 'e', 400)).toMatchObject({ kind: 'succeeded' });
    });

    test('nothing follows from an unknown family, an unknown token, or past the end', async () => {
      await families.insert({ ...toFamily(), endsAt: 1000 });
      expect(await succeed('nobody', 'b', 100)).toEqual({ kind: 'ended' });
      expect(await families.succeed('other', { fromId: 'a', toId: 'b', now: 1, graceMs })).toEqual({
        kind: 'ended',
      });
      expect(await succeed('a', 'b', 999)).toMatchObject({ kind: 'succeeded' });
      expect(await succeed('b', 'c', 1000)).toEqual({ kind: 'ended' });
      expect(await succeed('a', 'c', 1000)).toEqual({ kind: 'ended' });
      expect(await families.findById('family')).toMatchObject({ latestId: 'b' });
    });

    test('nothing follows once a family is revoked, which happens once', async () => {
      await families.insert({ ...toFamily(), endsAt: 1000 });
      await succeed('a', 'b', 100);
      const revoked = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          (n % 2 === 0 ? families : stores.otherTokenFamilies).revoke('family', 110),
        ),
      );
      expect(revoked.filter(Boolean)).toHaveLength(1);
      expect(await succeed('b', 'c', 111)).toEqual({ kind: 'ended' });
      expect(await succeed('a', 'c', 111)).toEqual({ kind: 'ended' });
      expect(await families.revoke('nobody', 110)).toBe(false);
    });

    test('of many that present the same token at once, one makes the successor and all get it', async () => {
      await families.insert(toFamily());
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          (n % 2 === 0 ? families : stores.otherTokenFamilies).succeed('family', {
            fromId: 'a',
            toId: `successor-${n}`,
            now: 100,
            graceMs,
          }),
        ),
      );
      const winner = results.findIndex(({ kind }) => kind === 'succeeded');
      const latestId = `successor-${winner}`;
      for (const [n, result] of results.entries()) {
        expect(result).toMatchObject({
          kind: n === winner ? 'succeeded' : 'repeated',
          family: { latestId },
        });
      }
    });

    test('of revoking and refreshing at once, whatever comes later finds the family ended', async () => {
      await families.insert(toFamily());
      const [revoked] = await Promise.all([
        stores.otherTokenFamilies.revoke('family', 100),
        ...Array.from({ length: 10 }, (_, n) => succeed(n === 0 ? 'a' : `t${n - 1}`, `t${n}`, 100)),
      ]);
      expect(revoked).toBe(true);
      const { latestId = '' } = (await families.findById('family')) ?? {};
      expect(await succeed(latestId, 'x', 101)).toEqual({ kind: 'ended' });
    });

    test('any history of tokens that are presented is judged as the rules say', async () => {
      const steps = fc.array(
        fc.record({
          /** Which of the tokens made so far is presented, the newest most often. */
          back: fc.oneof({ arbitrary: fc.constant(0), weight: 3 }, fc.nat({ max: 5 })),
          waitMs: fc.constantFrom(0, 1, graceMs, graceMs + 1),
          isElsewhere: fc.boolean(),
        }),
        { maxLength: 12 },
      );
      const property = fc.asyncProperty(steps, fc.integer({ min: 50, max: 500 }), async (history, endsAt) => {
        const family = { ...toFamily(), id: randomUUID(), endsAt };
        await families.insert(family);
        const made = [family.latestId];
        const succeededAt = new Map<string, number>();
        let now = 0;
        for (const [n, { back, waitMs, isElsewhere }] of history.entries()) {
          now += waitMs;
          const fromId = made.at(-1 - back) ?? 'never-made';
          const store = isElsewhere ? stores.otherTokenFamilies : families;
          const { kind } = await store.succeed(family.id, { fromId, toId: `t${n}`, now, graceMs });
          const at = succeededAt.get(fromId);
          if (now >= endsAt || fromId === 'never-made') expect(kind).toBe('ended');
          else if (at === undefined) {
            expect(kind).toBe('succeeded');
            succeededAt.set(fromId, now);
            made.push(`t${n}`);
          } else expect(kind).toBe(now - at <= graceMs ? 'repeated' : 'reused');
          expect(await store.findById(family.id)).toEqual({ ...family, latestId: made.at(-1) });
        }
      });
      await fc.assert(property, { numRuns: modelRuns });
    });

    test('families that ended before a moment are forgotten with all their tokens, others are not', async () => {
      await families.insert({ ...toFamily(), endsAt: 1000 });
      await families.insert({ ...toFamily(), id: 'later', endsAt: 1001 });
      await succeed('a', 'b', 100);
      expect(await families.removeEnded(1000)).toBe(0);
      expect(await families.removeEnded(1001)).toBe(1);
      expect(await families.findById('family')).toBeUndefined();
      expect(await families.findById('later')).toBeDefined();
      await families.insert(toFamily());
      expect(await succeed('a', 'b', 500)).toMatchObject({ kind: 'succeeded' });
    });
  });
}

function toFamily(): TokenFamily {
  return {
    id: 'family',
    userId: 'user',
    tenantId: 'cafe',
    scopes: ['*'],
    startedAt: 1_790_000_000_000,
    endsAt: 1_790_000_100_000,
    latestId: 'a',
  };
}
