import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCursor, toCursor } from './cursor.ts';
import { createNoteId, isNoteId } from './note-id.ts';

const noteId = fc
  .tuple(fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
  .map(([nowMs, bytes]) => createNoteId(nowMs, () => bytes));

describe('A cursor', () => {
  it('gives back the id it was made from', () => {
    fc.assert(
      fc.property(noteId, (id) => {
        expect(parseCursor(toCursor(id))).toBe(id);
      }),
    );
  });

  it('is refused when it is not one of ours', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.base64String(), fc.string({ unit: 'binary', maxLength: 120 })),
        (value) => {
          expect(parseCursor(value)).toBeUndefined();
          expect(parseCursor(Buffer.from(`after:${value}`).toString('base64url'))).toBeUndefined();
        },
      ),
    );
    expect(parseCursor(`${toCursor(createNoteId(0))}=`)).toBeUndefined();
  });
});

describe('A note id', () => {
  it('is recognised, and sorts by the time it was made', () => {
    fc.assert(
      fc.property(noteId, (id) => {
        expect(isNoteId(id)).toBe(true);
      }),
    );
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (one, other) => {
        fc.pre(one < other);
        expect(createNoteId(one) < createNoteId(other)).toBe(true);
      }),
    );
  });

  it('is never taken for one when it could leave a folder', () => {
    for (const value of [
      '',
      '.',
      '..',
      '../x',
      'a/b',
      'A'.repeat(26),
      `${createNoteId(0)}\n`,
      `${createNoteId(0)}/`,
    ]) {
      expect(isNoteId(value)).toBe(false);
    }
  });
});
