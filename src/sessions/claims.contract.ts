import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Claims } from './claims.ts';

/** Opens the doors of several instances to claims that nobody made before, on the suite's clock. */
export type OpenClaims = (now: () => number) => Promise<readonly [Claims, ...Claims[]]>;

const start = 1_800_000_000_000;

/** What every `Claims` does. */
export function describeClaims(name: string, open: OpenClaims): void {
  describe(`${name} as Claims`, () => {
    it('lets one of twenty that claim at once have it, whichever instances they ask', async () => {
      const doors = await open(() => start);
      for (let round = 0; round < 20; round += 1) {
        const claims = await Promise.all(
          Array.from({ length: 20 }, (_, index) =>
            (doors[index % doors.length] ?? doors[0]).claim(`state-${round}`, start + 60_000),
          ),
        );
        expect(claims.filter(Boolean)).toHaveLength(1);
      }
    });

    it('lets each thing be claimed once at most while it lasts, and not at all past its time', async () => {
      const steps = fc.array(
        fc.record({ id: fc.constantFrom('a', 'b', 'c'), ms: fc.nat({ max: 400 }), door: fc.nat() }),
        { maxLength: 30 },
      );
      await fc.assert(
        fc.asyncProperty(steps, async (taken) => {
          let now = start;
          const doors = await open(() => now);
          const ends = new Map([
            ['a', start + 500],
            ['b', start + 1000],
            ['c', start + 60_000],
          ]);
          const claimed = new Set<string>();
          for (const { id, ms, door } of taken) {
            now += ms;
            const end = ends.get(id) ?? 0;
            const isFirst = await (doors[door % doors.length] ?? doors[0]).claim(id, end);
            expect(isFirst).toBe(now < end && !claimed.has(id));
            claimed.add(id);
          }
        }),
      );
    });
  });
}
