import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RecentSet } from './recent-set.ts';

describe('RecentSet', () => {
  it('remembers at least its capacity of the latest values, never more than twice that, and nothing never added', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.array(fc.nat(30), { maxLength: 80 }),
        (capacity, values) => {
          const set = new RecentSet<number>(capacity);
          for (const value of values) {
            set.add(value);
            expect(set.size).toBeLessThanOrEqual(2 * capacity);
          }
          const latest = [...new Set(values.toReversed())].slice(0, capacity);
          for (const value of latest) expect(set.has(value)).toBe(true);
          expect(set.has(31)).toBe(false);
        },
      ),
    );
  });

  it('forgets everything when cleared', () => {
    const set = new RecentSet<string>(1);
    set.add('a');
    set.add('b');
    set.clear();
    expect(set.has('a') || set.has('b')).toBe(false);
    expect(set.size).toBe(0);
  });
});
