import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Limit, Limits } from './limits.ts';

/** Opens the doors of several instances to limits that nobody used before, on the suite's clock. */
export type OpenLimits = (now: () => number) => Promise<readonly [Limits, ...Limits[]]>;

const start = 1_800_000_000_000;

interface Step {
  readonly kind: 'take' | 'look' | 'reset' | 'advance';
  readonly subject: string;
  readonly cost: number;
  readonly ms: number;
  readonly door: number;
}

const limits = fc.record({
  capacity: fc.oneof(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 1_000_000 })),
  windowMs: fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 2_678_400_000 })),
});

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom<Step['kind']>('take', 'take', 'take', 'look', 'reset', 'advance'),
    subject: fc.constantFrom('alice', 'bob'),
    cost: fc.nat(),
    ms: fc.oneof(fc.integer({ min: -5, max: 60 }), fc.integer({ min: 0, max: 2_678_400_000 })),
    door: fc.nat(),
  }),
  { maxLength: 30 },
);

/** The rule in whole numbers of any size: what is there, in parts of which `windowMs` make one. */
class ModelBucket {
  #parts: bigint;
  #at: number;
  readonly #limit: Limit;

  constructor(limit: Limit, now: number) {
    this.#limit = limit;
    this.#parts = BigInt(limit.capacity) * BigInt(limit.windowMs);
    this.#at = now;
  }

  take(cost: number, now: number): { isAllowed: boolean; remaining: number; retryAfterMs: number } {
    const [capacity, windowMs] = [BigInt(this.#limit.capacity), BigInt(this.#limit.windowMs)];
    const back = BigInt(Math.max(now - this.#at, 0)) * capacity;
    this.#at = now;
    const most = capacity * windowMs;
    this.#parts = this.#parts + back > most ? most : this.#parts + back;
    const missing = BigInt(cost) * windowMs - this.#parts;
    const isAllowed = missing <= 0n;
    if (isAllowed) this.#parts = -missing;
    return {
      isAllowed,
      remaining: Number(this.#parts / windowMs),
      retryAfterMs: isAllowed ? 0 : Number((missing + capacity - 1n) / capacity),
    };
  }

  look(now: number): { isAllowed: boolean; remaining: number; retryAfterMs: number } {
    const copy = new ModelBucket(this.#limit, this.#at);
    copy.#parts = this.#parts;
    const outcome = copy.take(1, now);
    return { ...outcome, remaining: outcome.remaining + (outcome.isAllowed ? 1 : 0) };
  }
}

/** What every `Limits` does. */
export function describeLimits(name: string, open: OpenLimits, options: { runs?: number } = {}): void {
  describe(`${name} as Limits`, () => {
    it('comes out as a bucket in whole numbers does, whichever instance is asked', async () => {
      await fc.assert(
        fc.asyncProperty(limits, steps, async (limit, taken) => {
          let now = start;
          const doors = await open(() => now);
          const model = new Map<string, ModelBucket>();
          for (const { kind, subject, cost, ms, door } of taken) {
            const opened = doors[door % doors.length] ?? doors[0];
            if (kind === 'advance') {
              now += ms;
            } else if (kind === 'look') {
              const bucket = model.get(subject) ?? new ModelBucket(limit, now);
              expect(await opened.look(['test', subject], limit)).toEqual(bucket.look(now));
            } else if (kind === 'reset') {
              await opened.reset(['test', subject], limit);
              model.delete(subject);
            } else {
              const bucket = model.get(subject) ?? new ModelBucket(limit, now);
              model.set(subject, bucket);
              const asked = (cost % limit.capacity) + 1;
              const outcome = await opened.take(['test', subject], limit, asked);
              expect(outcome).toEqual(bucket.take(asked, now));
            }
          }
        }),
        { numRuns: options.runs ?? 100 },
      );
    });

    it('lets exactly its capacity through when all ask at once, on every instance', async () => {
      const doors = await open(() => start);
      const outcomes = await Promise.all(
        Array.from({ length: 40 }, (_, index) =>
          (doors[index % doors.length] ?? doors[0]).take(['sign-in', 'alice'], {
            capacity: 7,
            windowMs: 60_000,
          }),
        ),
      );
      expect(outcomes.filter(({ isAllowed }) => isAllowed)).toHaveLength(7);
      expect(
        outcomes
          .filter(({ isAllowed }) => isAllowed)
          .map(({ remaining }) => remaining)
          .toSorted((one, other) => one - other),
      ).toEqual([0, 1, 2, 3, 4, 5, 6]);
    });

    it('says how long to wait to the millisecond: then it is allowed, and not one sooner', async () => {
      let now = start;
      const [door] = await open(() => now);
      const limit = { capacity: 3, windowMs: 1000 };
      const take = () => door.take(['sign-in', 'alice'], limit);
      for (let count = 0; count < 3; count += 1) expect(await take()).toMatchObject({ isAllowed: true });
      expect(await take()).toEqual({ isAllowed: false, remaining: 0, retryAfterMs: 334 });
      now += 333;
      expect(await take()).toEqual({ isAllowed: false, remaining: 0, retryAfterMs: 1 });
      now += 1;
      expect(await take()).toMatchObject({ isAllowed: true });
    });

    it('takes nothing by looking, and tells what taking would', async () => {
      const [door] = await open(() => start);
      const limit = { capacity: 1, windowMs: 1000 };
      const full = { isAllowed: true, remaining: 1, retryAfterMs: 0 };
      expect(await door.look(['failure', 'alice'], limit)).toEqual(full);
      expect(await door.look(['failure', 'alice'], limit)).toEqual(full);
      await door.take(['failure', 'alice'], limit);
      const empty = { isAllowed: false, remaining: 0, retryAfterMs: 1000 };
      expect(await door.look(['failure', 'alice'], limit)).toEqual(empty);
      expect(await door.look(['failure', 'bob'], limit)).toEqual(full);
    });

    it('goes on letting costs come back when the clock was put back by hours', async () => {
      let now = start;
      const [door] = await open(() => now);
      const limit = { capacity: 1, windowMs: 1000 };
      const take = () => door.take(['sign-in', 'alice'], limit);
      await take();
      now -= 3 * 3_600_000;
      expect(await take()).toEqual({ isAllowed: false, remaining: 0, retryAfterMs: 1000 });
      now += 1000;
      expect(await take()).toMatchObject({ isAllowed: true });
    });

    it('keeps subjects, and limits of other numbers, apart', async () => {
      const [door] = await open(() => start);
      const limit = { capacity: 1, windowMs: 1000 };
      expect(await door.take(['a', 'b,c'], limit)).toMatchObject({ isAllowed: true });
      expect(await door.take(['a', 'b,c'], limit)).toMatchObject({ isAllowed: false });
      expect(await door.take(['a', 'b', 'c'], limit)).toMatchObject({ isAllowed: true });
      expect(await door.take(['a,b', 'c'], limit)).toMatchObject({ isAllowed: true });
      expect(await door.take(['a', 'b,c'], { ...limit, windowMs: 1001 })).toMatchObject({ isAllowed: true });
    });

    it.each([
      [{ capacity: 0, windowMs: 1 }, 1],
      [{ capacity: 1_000_001, windowMs: 1 }, 1],
      [{ capacity: 1, windowMs: 0 }, 1],
      [{ capacity: 1, windowMs: 2_678_400_001 }, 1],
      [{ capacity: 1.5, windowMs: 1 }, 1],
      [{ capacity: 3, windowMs: 1 }, 4],
      [{ capacity: 3, windowMs: 1 }, 0],
      [{ capacity: 3, windowMs: Number.NaN }, 1],
    ])('refuses %j at cost %i, which could never be meant', async (limit, cost) => {
      const [door] = await open(() => start);
      await expect(door.take(['x'], limit, cost)).rejects.toThrow(RangeError);
      if (cost === 1) await expect(door.look(['x'], limit)).rejects.toThrow(RangeError);
    });
  });
}
