import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrozenCopies } from './frozen-copies.ts';

function isFrozenDeep(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every(isFrozenDeep);
}

describe('FrozenCopies', () => {
  it('gives an equal copy, frozen all the way down, that the original cannot change', () => {
    const copies = new FrozenCopies<unknown>();
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        const { value: copy, bytes } = copies.copy(value);
        expect(JSON.stringify(copy)).toBe(text);
        expect(bytes).toBe(Buffer.byteLength(text));
        expect(isFrozenDeep(copy)).toBe(true);
        if (typeof value === 'object' && value !== null) expect(copy).not.toBe(value);
      }),
    );
  });

  it('shares one copy between equal small values that keep coming, whatever comes between', () => {
    const copies = new FrozenCopies<{ readonly name: string }>();
    const first = copies.copy({ name: 'client' });
    for (let index = 0; index < 2000; index += 1) {
      copies.copy({ name: `${index}` });
      expect(copies.copy({ name: 'client' }).value).toBe(first.value);
    }
  });

  it('lets go of values that stopped coming, and never holds large ones', () => {
    const copies = new FrozenCopies<{ readonly name: string }>();
    const once = copies.copy({ name: 'once' });
    const large = { name: 'x'.repeat(3000) };
    expect(copies.copy(large).value).not.toBe(copies.copy(large).value);
    for (let index = 0; index < 600; index += 1) copies.copy({ name: `${index}` });
    expect(copies.copy({ name: 'once' }).value).not.toBe(once.value);
  });
});
