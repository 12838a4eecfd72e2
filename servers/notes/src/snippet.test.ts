import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { snippetLength } from './limits.ts';
import { toSnippet } from './snippet.ts';
import { toTerms } from './words.ts';

describe('A snippet', () => {
  const filler = 'lorem ipsum dolor sit amet '.repeat(20);

  it('shows the first match with words whole before it', () => {
    const snippet = toSnippet(`${filler}the Café opens ${filler}`, toTerms('cafe op'));
    expect(snippet).toMatch(/^… \w+ .*the Café opens lorem/u);
    expect(snippet).toMatch(/ …$/u);
  });

  it('shows the beginning when the match is elsewhere, and a short text whole', () => {
    expect(toSnippet('one\n\n two', ['three'])).toBe('one two');
    expect(toSnippet(filler, ['three'])).toMatch(/^lorem/);
  });

  it('is one line of bounded length and cuts no character in two', () => {
    const long = fc.string({ unit: fc.constantFrom('a', ' ', '\n', '🗒', 'é', 'match'), maxLength: 600 });
    fc.assert(
      fc.property(long, (text) => {
        const snippet = toSnippet(text, ['match']);
        expect(snippet.length).toBeLessThanOrEqual(snippetLength + 4);
        expect(snippet).not.toMatch(/\p{Surrogate}|\n/u);
        if (toTerms(text).some((term) => term.startsWith('match'))) expect(snippet).toContain('match');
      }),
    );
  });
});
