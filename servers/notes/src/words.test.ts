import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maxTermLength } from './limits.ts';
import { findWords, toTerms } from './words.ts';

const text = fc.string({ unit: 'grapheme' });

describe('The words of a text', () => {
  it('ignore case and accents', () => {
    expect(toTerms('Crème BRÛLÉE, naïve Łódź!')).toEqual(['creme', 'brulee', 'naive', 'lodz']);
    expect(toTerms('Ελλάδα Йогурт')).toEqual(['ελλαδα', 'иогурт']);
    expect(toTerms('Straße Smørrebrød Οδός')).toEqual(toTerms('STRASSE SMORREBROD ΟΔΟΣ'));
    expect(toTerms('e\u0301te\u0301')).toEqual(toTerms('été'));
  });

  it('are split at everything that is no letter and no digit', () => {
    expect(toTerms('e-mail: jo@example.org (24/7)')).toEqual([
      'e',
      'mail',
      'jo',
      'example',
      'org',
      '24',
      '7',
    ]);
    expect(toTerms(' \n\t—…🗒')).toEqual([]);
  });

  it('are single characters in scripts without spaces, and keep the vowel signs of Indic scripts', () => {
    expect(toTerms('東京タワー2026年')).toEqual(['東', '京', 'タ', 'ワ', 'ー', '2026', '年']);
    expect(toTerms('हिन्दी')).toEqual(['हिन्दी']);
  });

  it('are clipped when very long', () => {
    expect(toTerms('x'.repeat(1000))).toEqual(['x'.repeat(maxTermLength)]);
  });

  it('stay the same when read again as a text', () => {
    fc.assert(
      fc.property(text, (value) => {
        expect(toTerms(toTerms(value).join(' '))).toEqual(toTerms(value));
      }),
    );
  });

  it('are the same in upper and lower case, composed and decomposed, for Latin, Greek and Cyrillic', () => {
    const letters = fc.string({ unit: fc.constantFrom(...Array.from('aZéÜñłåÇßıωΆσΣςйЁ 7-')) });
    fc.assert(
      fc.property(letters, (value) => {
        const terms = toTerms(value);
        for (const variant of [value.toUpperCase(), value.toLowerCase(), value.normalize('NFD')]) {
          expect(toTerms(variant)).toEqual(terms);
        }
      }),
    );
  });

  it('are told with the places where they stand, in order', () => {
    fc.assert(
      fc.property(text, (value) => {
        let last = -1;
        for (const { start, terms } of findWords(value)) {
          expect(start).toBeGreaterThan(last);
          expect(terms.length).toBeGreaterThan(0);
          last = start;
        }
        expect(last).toBeLessThan(Math.max(value.length, 1));
      }),
    );
  });
});
