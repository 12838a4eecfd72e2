import { describe, expect, it } from 'vitest';
import { toSlot } from './redis-slots.ts';

describe('toSlot', () => {
  // What `CLUSTER KEYSLOT` of Redis 7.0 answers.
  it.each([
    ['', 0],
    ['123456789', 12_739],
    ['foo', 12_182],
    ['{foo}.a', 12_182],
    ['a{foo}{bar}', 12_182],
    ['{}foo', 9500],
    ['{foo', 13_308],
  ])('puts %s where Redis does', (key, slot) => {
    expect(toSlot(key)).toBe(slot);
  });
});
