import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSealedBox, maxSealedLength, toSealingKey, type SealedBox } from './sealed-box.ts';

const current = toSealingKey('11'.repeat(32));
const previous = toSealingKey('22'.repeat(32));
const binding = { purpose: 'request-state', boundTo: 'key:alice@acme' };

function seal(box: SealedBox, value: string, ttlSeconds = 60): string {
  return box.seal(value, { ...binding, ttlSeconds });
}

// Strings that JSON text may hold: half of a surrogate pair has no encoding in UTF-8.
const text = fc.string({ unit: 'binary' });

describe('a sealed box', () => {
  const box = createSealedBox({ keys: [current] });

  it('opens what it sealed, for the same purpose and holder, as often as it is asked', () => {
    fc.assert(
      fc.property(text, text, text, (value, purpose, boundTo) => {
        const sealed = box.seal(value, { purpose, boundTo, ttlSeconds: 60 });
        expect(sealed).toMatch(/^[\w.-]+$/);
        expect(box.open(sealed, { purpose, boundTo })).toBe(value);
        expect(box.open(sealed, { purpose, boundTo })).toBe(value);
      }),
    );
  });

  it('opens for no other purpose or holder, wherever the line between the two is drawn', () => {
    fc.assert(
      fc.property(text, text, text, text, (purpose, boundTo, otherPurpose, otherHolder) => {
        fc.pre(purpose !== otherPurpose || boundTo !== otherHolder);
        const sealed = box.seal('1', { purpose, boundTo, ttlSeconds: 60 });
        expect(box.open(sealed, { purpose: otherPurpose, boundTo: otherHolder })).toBeUndefined();
      }),
    );
    const sealed = box.seal('1', { purpose: 'ab', boundTo: 'c', ttlSeconds: 60 });
    expect(box.open(sealed, { purpose: 'a', boundTo: 'bc' })).toBeUndefined();
    expect(box.open(sealed, { purpose: 'ab', boundTo: 'C' })).toBeUndefined();
    expect(box.open(sealed, { purpose: 'ab","c', boundTo: '' })).toBeUndefined();
  });

  it('opens nothing of which any one character was changed, left out or put in', () => {
    const two = createSealedBox({ keys: [current, previous] });
    for (const value of ['', '1', '{}', '{"a":1}', 'é'.repeat(9)]) {
      const sealed = seal(two, value);
      for (let place = 0; place <= sealed.length; place += 1) {
        const [before, after] = [sealed.slice(0, place), sealed.slice(place + 1)];
        const variants = [
          before,
          before + after,
          `${before}A${sealed.slice(place)}`,
          `${before}=${sealed.slice(place)}`,
        ];
        for (const other of 'ABQgw048_-+/=. \n\u0000é')
          if (other !== sealed[place]) variants.push(before + other + after);
        for (const variant of variants) {
          if (variant !== sealed) expect(two.open(variant, binding)).toBeUndefined();
        }
      }
    }
  });

  it('opens nothing of which any one bit was changed, in the vector, the content or the tag', () => {
    const [id = '', body = ''] = seal(box, '{"round":1}').split('.');
    const bytes = Buffer.from(body, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(box.open(`${id}.${changed.toString('base64url')}`, binding)).toBeUndefined();
    }
  });

  it('answers garbage with nothing and never throws', () => {
    const body = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes).toString('base64url'));
    const garbage = fc.oneof(
      text,
      body,
      body.map((encoded) => `${current.id}.${encoded}`),
      text.map((wild) => `${current.id}.${wild}`),
    );
    fc.assert(
      fc.property(garbage, (sealed) => {
        expect(box.open(sealed, binding)).toBeUndefined();
      }),
      { numRuns: 1000 },
    );
  });

  it('opens until exactly the end of its time', () => {
    let time = 1_800_000_000_000;
    const timed = createSealedBox({ keys: [current], now: () => time });
    const sealed = seal(timed, '1', 1.5);
    time += 1499;
    expect(timed.open(sealed, binding)).toBe('1');
    time += 1;
    expect(timed.open(sealed, binding)).toBeUndefined();
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('refuses %s seconds to live', (ttlSeconds) => {
    expect(() => seal(box, '1', ttlSeconds)).toThrow(RangeError);
  });

  it('seals up to its bound on length and looks at nothing longer', () => {
    const room = Math.floor(((maxSealedLength - current.id.length - 1) * 3) / 4) - 36;
    const sealed = seal(box, 'x'.repeat(room));
    expect(sealed.length).toBeGreaterThan(maxSealedLength - 4);
    expect(box.open(sealed, binding)).toHaveLength(room);
    expect(() => seal(box, 'x'.repeat(room + 4))).toThrow(RangeError);
    expect(box.open(sealed.padEnd(maxSealedLength + 1, 'A'), binding)).toBeUndefined();
  });

  it('takes another bound on length for what does not go to clients', () => {
    const maxLength = 2 * maxSealedLength;
    const value = 'x'.repeat(maxSealedLength);
    const sealed = box.seal(value, { ...binding, ttlSeconds: 60, maxLength });
    expect(box.open(sealed, { ...binding, maxLength })).toBe(value);
    expect(box.open(sealed, binding)).toBeUndefined();
    expect(() => box.seal(value, { ...binding, ttlSeconds: 60, maxLength: 100 })).toThrow(RangeError);
  });

  it('goes on opening what an older key sealed until that key is taken away', () => {
    const before = seal(createSealedBox({ keys: [previous] }), 'old');
    const during = createSealedBox({ keys: [current, previous] });
    const after = createSealedBox({ keys: [current] });
    expect(during.open(before, binding)).toBe('old');
    expect(after.open(before, binding)).toBeUndefined();
    expect(after.open(seal(during, 'new'), binding)).toBe('new');
  });

  it('does not open with a key of the same id but other bytes, nor under another id of the same key', () => {
    const sealed = seal(createSealedBox({ keys: [{ ...current, id: 'a' }] }), '1');
    expect(createSealedBox({ keys: [{ ...previous, id: 'a' }] }).open(sealed, binding)).toBeUndefined();
    const renamed = createSealedBox({ keys: [{ ...current, id: 'b' }] });
    expect(renamed.open(sealed.replace('a.', 'b.'), binding)).toBeUndefined();
  });

  it('never repeats a vector, and hides the value', () => {
    const seen = new Set<string>();
    for (let count = 0; count < 1000; count += 1) {
      const bytes = Buffer.from(seal(box, 'plain to see').split('.')[1] ?? '', 'base64url');
      seen.add(bytes.subarray(0, 12).toString('hex'));
      expect(bytes.includes('plain')).toBe(false);
    }
    expect(seen.size).toBe(1000);
  });

  it('refuses keys that cannot serve', () => {
    expect(() => createSealedBox({ keys: [] })).toThrow(TypeError);
    expect(() => createSealedBox({ keys: [{ id: 'a', key: Buffer.alloc(16) }] })).toThrow(
      'must be 32 bytes, not 16',
    );
    expect(() => createSealedBox({ keys: [{ ...current, id: 'a.b' }] })).toThrow(TypeError);
    expect(() => createSealedBox({ keys: [current, current] })).toThrow(`Two keys have the id ${current.id}`);
  });
});

describe('toSealingKey', () => {
  it('gives the same key and id for the same secret, whatever the case of its digits, and shows neither', () => {
    const hex = 'abcdef01'.repeat(8);
    const key = toSealingKey(hex);
    expect(toSealingKey(hex.toUpperCase())).toEqual(key);
    expect(key.id).toMatch(/^[0-9a-f]{12}$/);
    expect(key.key.toString('hex')).not.toBe(hex);
    expect(createHash('sha256').update(Buffer.from(hex, 'hex')).digest('hex')).not.toContain(key.id);
    expect(key.id).not.toBe(previous.id);
    expect(toSealingKey(hex, 'mine').id).toBe('mine');
  });

  it.each(['', 'secret', 'g'.repeat(64), 'a'.repeat(63), 'a'.repeat(66), `${'a'.repeat(64)}\n`])(
    'refuses %j without repeating it',
    (hex) => {
      expect(() => toSealingKey(hex)).toThrow('A sealing key is made from 64 hexadecimal digits.');
    },
  );
});
