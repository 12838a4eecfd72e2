import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createBoundedTurns } from './bounded-turns.ts';

test('never runs more than so much at once, the oldest first, and refuses what may not wait', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.record({
        maxRunning: fc.integer({ min: 1, max: 4 }),
        maxWaiting: fc.nat({ max: 6 }),
        count: fc.nat({ max: 16 }),
      }),
      async (scheduler, { maxRunning, maxWaiting, count }) => {
        const takeTurn = createBoundedTurns({ maxRunning, maxWaiting });
        const begun: number[] = [];
        let running = 0;
        const turns = Array.from({ length: count }, (_, index) =>
          takeTurn(async () => {
            begun.push(index);
            running += 1;
            expect(running).toBeLessThanOrEqual(maxRunning);
            await scheduler.schedule(Promise.resolve());
            running -= 1;
          }),
        );
        const taken = turns.filter((turn) => turn !== undefined);
        expect(taken).toHaveLength(Math.min(count, maxRunning + maxWaiting));
        await scheduler.waitFor(Promise.all(taken));
        expect(begun).toEqual(taken.map((_, index) => index));
        // Everything was given back.
        await scheduler.waitFor(takeTurn(async () => undefined) ?? Promise.reject(new Error('refused')));
      },
    ),
  );
});

test('work that fails gives its turn back', async () => {
  const takeTurn = createBoundedTurns({ maxRunning: 1, maxWaiting: 0 });
  await expect(takeTurn(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(await takeTurn(async () => 'next')).toBe('next');
});
