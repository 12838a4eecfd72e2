import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BodyBuffer } from './body-buffer.ts';

function readAll(chunks: readonly Uint8Array[], maxBodyBytes: number): string {
  const body = new BodyBuffer(maxBodyBytes);
  for (const chunk of chunks) body.push(chunk);
  return body.decode();
}

describe('BodyBuffer', () => {
  it('gives back any text, in whatever pieces it came', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.array(fc.nat({ max: 20 })), (text, cuts) => {
        const bytes = Buffer.from(text);
        const chunks: Uint8Array[] = [];
        let at = 0;
        for (const cut of cuts) chunks.push(bytes.subarray(at, (at += cut)));
        chunks.push(bytes.subarray(at));
        expect(readAll(chunks, bytes.length)).toBe(text);
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
          expect(() => readAll([bytes], 1000)).toThrow('not valid UTF-8');
          return;
        }
        expect(readAll([bytes], 1000)).toBe(expected);
      }),
    );
  });

  it('never changes a piece that it was given', () => {
    const shared = new Uint8Array([97, 98, 99, 100]);
    expect(readAll([shared.subarray(0, 2), new Uint8Array([120, 121])], 10)).toBe('abxy');
    expect([...shared]).toEqual([97, 98, 99, 100]);
  });

  it('refuses the piece that passes the limit', () => {
    const body = new BodyBuffer(3);
    body.push(new Uint8Array(2));
    expect(() => body.push(new Uint8Array(2))).toThrow('larger than 3 bytes');
  });
});
