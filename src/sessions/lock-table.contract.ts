import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLocks } from './locks-on-table.ts';
import type { LockTable } from './locks.ts';

/** Opens the doors of several instances to locks that nobody took before, on the suite's clock, or on their own. */
export type OpenLockTables = (now?: () => number) => Promise<readonly [LockTable, ...LockTable[]]>;

const start = 1_800_000_000_000;
const ttlMs = 1000;

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom('take', 'take', 'renew', 'release', 'advance'),
    name: fc.constantFrom('one', 'two'),
    holder: fc.constantFrom('a', 'b', 'c'),
    ms: fc.oneof(fc.integer({ min: -5, max: 600 }), fc.constant(ttlMs)),
    door: fc.nat(),
  }),
  { maxLength: 30 },
);

/** What every `LockTable` does, and locks over it. */
export function describeLockTable(name: string, open: OpenLockTables, options: { runs?: number } = {}): void {
  describe(`${name} as LockTable`, () => {
    it('comes out as a list of holders does, and gives each a greater token than all before', async () => {
      await fc.assert(
        fc.asyncProperty(steps, async (taken) => {
          let now = start;
          const doors = await open(() => now);
          const held = new Map<string, { holder: string; token: number; expiresAt: number }>();
          const lastTokens = new Map<string, number>();
          for (const { kind, name: lock, holder, ms, door } of taken) {
            const table = doors[door % doors.length] ?? doors[0];
            const found = held.get(lock);
            const present = found !== undefined && now < found.expiresAt ? found : undefined;
            const isOwn = present?.holder === holder;
            if (kind === 'advance') {
              now += ms;
            } else if (kind === 'take') {
              const token = await table.take(lock, holder, ttlMs);
              if (present !== undefined) expect(token).toBe(isOwn ? present.token : undefined);
              else expect(token).toBeGreaterThan(lastTokens.get(lock) ?? 0);
              if (token === undefined) continue;
              lastTokens.set(lock, token);
              held.set(lock, { holder, token, expiresAt: now + ttlMs });
            } else if (kind === 'renew') {
              expect(await table.renew(lock, holder, ttlMs)).toBe(isOwn);
              if (isOwn) held.set(lock, { ...present, expiresAt: now + ttlMs });
            } else {
              await table.release(lock, holder);
              if (found?.holder === holder) held.delete(lock);
            }
          }
        }),
        { numRuns: options.runs ?? 100 },
      );
    });

    it('lets one at a time work, of all that wait on every instance, with tokens that grow', async () => {
      const doors = await open();
      const first = createLocks(doors[0]);
      const locks = [first, ...doors.slice(1).map((table) => createLocks(table))];
      let working = 0;
      const tokens: number[] = [];
      const outcomes = await Promise.all(
        Array.from({ length: 12 }, (_, index) =>
          (locks[index % locks.length] ?? first).withLock(
            'rekey',
            { ttlMs: 20_000, waitMs: 30_000 },
            async ({ token }) => {
              working += 1;
              expect(working).toBe(1);
              tokens.push(token);
              // Long enough for the others to have their turn, were they let in.
              for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
              working -= 1;
              return index;
            },
          ),
        ),
      );
      expect(outcomes).toEqual(Array.from({ length: 12 }, (_, index) => ({ kind: 'done', value: index })));
      expect(tokens).toEqual([...new Set(tokens)].toSorted((one, other) => one - other));
    });

    it('tells who does not wait that it is taken, and runs nothing', async () => {
      const doors = await open();
      const other = createLocks(doors.at(-1) ?? doors[0]);
      await createLocks(doors[0]).withLock('rekey', { ttlMs: 20_000 }, async () => {
        const outcome = await other.withLock('rekey', { ttlMs: 20_000 }, async () => 'ran');
        expect(outcome).toEqual({ kind: 'taken' });
        const elsewhere = await other.withLock('else', { ttlMs: 20_000 }, async () => 'ran');
        expect(elsewhere).toEqual({ kind: 'done', value: 'ran' });
      });
    });

    it('frees the lock of a holder that died, and not before its time to live', async () => {
      const doors = await open();
      const diedWith = await doors[0].take('rekey', 'dead', 600);
      const startedAt = performance.now();
      const outcome = await createLocks(doors.at(-1) ?? doors[0]).withLock(
        'rekey',
        { ttlMs: 20_000, waitMs: 30_000 },
        async ({ token }) => token,
      );
      expect(performance.now() - startedAt).toBeGreaterThan(500);
      expect(outcome).toMatchObject({ kind: 'done' });
      if (outcome.kind === 'done') expect(outcome.value).toBeGreaterThan(diedWith ?? Infinity);
    });

    it('keeps the lock of work that takes longer than its time to live', async () => {
      const doors = await open();
      const other = createLocks(doors.at(-1) ?? doors[0]);
      await createLocks(doors[0]).withLock('rekey', { ttlMs: 1500 }, async ({ signal }) => {
        const outcome = await other.withLock('rekey', { ttlMs: 1500, waitMs: 3000 }, async () => 'ran');
        // A machine that stood still for longer than that loses the lock, and its holder is told.
        if (!signal.aborted) expect(outcome).toEqual({ kind: 'taken' });
      });
    });

    it('gives the lock back when the work fails', async () => {
      const [table] = await open();
      const locks = createLocks(table);
      const failing = locks.withLock('rekey', { ttlMs: 20_000 }, () => Promise.reject(new Error('no')));
      await expect(failing).rejects.toThrow('no');
      expect(await locks.withLock('rekey', { ttlMs: 20_000 }, async () => 'ran')).toMatchObject({
        kind: 'done',
      });
    });
  });
}
