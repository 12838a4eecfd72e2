import { snippetLength } from './limits.ts';
import { findWords, isTermMatch } from './words.ts';

/** Characters of context kept before the match. */
const leadLength = 40;

/**
 * One line of a text around its first word that answers the search, or its beginning when none does (the match is
 * then in the title or the tags).
 *
 * @param terms the search, as `toTerms` gives it
 */
export function toSnippet(text: string, terms: readonly string[]): string {
  const match = findFirstMatch(text, terms);
  const start = match <= leadLength ? 0 : toWordStart(text, match - leadLength, match);
  const end = toCharacterStart(text, Math.min(text.length, start + snippetLength));
  const line = text.slice(start, end).replaceAll(/\s+/gu, ' ').trim();
  return `${start > 0 ? '… ' : ''}${line}${end < text.length ? ' …' : ''}`;
}

function findFirstMatch(text: string, terms: readonly string[]): number {
  for (const word of findWords(text)) {
    const isMatch = word.terms.some((term) =>
      terms.some((wanted, index) => isTermMatch(term, wanted, index === terms.length - 1)),
    );
    if (isMatch) return word.start;
  }
  return 0;
}

/** The first place after white space between two positions, so that no word is cut; else the first position. */
function toWordStart(text: string, from: number, to: number): number {
  const space = text.slice(from, to).search(/\s/u);
  return space === -1 ? toCharacterStart(text, from) : from + space + 1;
}

/** The same position, or one less where it would cut a surrogate pair in two. */
function toCharacterStart(text: string, position: number): number {
  const isCut = /^[\uD800-\uDBFF][\uDC00-\uDFFF]/.test(text.slice(position - 1, position + 1));
  return isCut ? position - 1 : position;
}
