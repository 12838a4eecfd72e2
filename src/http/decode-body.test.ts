import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBody } from './decode-body.ts';

describe('decodeBody', () => {
  it('gives back any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(decodeBody(Buffer.from(text))).toBe(text);
      }),
    );
  });

  it('takes exactly the bytes that a strict decoder takes', () => {
    const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        let expected: string | undefined;
        try {
          expected = strict.decode(bytes);
        } catch {
          expect(() => decodeBody(Buffer.from(bytes))).toThrow('not valid UTF-8');
          return;
        }
        expect(decodeBody(Buffer.from(bytes))).toBe(expected);
      }),
    );
  });
});
