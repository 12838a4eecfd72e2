import { maxTermLength } from './limits.ts';

/** Scripts written without spaces between words: each character is a word of its own here. */
const unspaced = ['Han', 'Hiragana', 'Katakana', 'Thai', 'Lao', 'Khmer', 'Myanmar']
  .map((script) => `\\p{Script=${script}}`)
  .join('')
  .concat('ー');
const inWord = '[\\p{L}\\p{N}\\p{M}]';
const wordPattern = new RegExp(`(?=${inWord})[${unspaced}]|(?:(?![${unspaced}])${inWord})+`, 'gu');

/** Accents proper; the vowel signs of Indic scripts are script-specific and stay. */
const accents = /\p{Script=Inherited}/gu;

/** Letters that Unicode does not take apart, but that people type and expect in a plainer form. */
const plainLetters: ReadonlyMap<string, string> = new Map(
  Object.entries({ ł: 'l', ø: 'o', đ: 'd', ħ: 'h', ŧ: 't', æ: 'ae', œ: 'oe', ς: 'σ' }),
);
const strokedLetters = new RegExp(`[${Array.from(plainLetters.keys()).join('')}]`, 'gu');

/** A word where it stands in a text, and the terms it is searched by (usually one). */
export interface Word {
  readonly start: number;
  readonly terms: readonly string[];
}

/** The words of a text in order. */
export function* findWords(text: string): Generator<Word> {
  for (const match of text.matchAll(wordPattern)) {
    const terms = foldWord(match[0]).match(wordPattern) ?? [];
    if (terms.length > 0) yield { start: match.index, terms: terms.map(clip) };
  }
}

/** A text as search sees it: its words without case and accents, so that `Café` and `CAFE` are one. */
export function toTerms(text: string): string[] {
  return Array.from(findWords(text)).flatMap(({ terms }) => terms);
}

/**
 * Whether a text's term answers a search's term.
 *
 * @param isPrefix the last word of a search may be still unfinished
 */
export function isTermMatch(term: string, wanted: string, isPrefix: boolean): boolean {
  return isPrefix ? term.startsWith(wanted) : term === wanted;
}

/** Upper case first: it writes out what lower case alone would keep apart, such as `ß` and `SS`. */
function foldWord(word: string): string {
  const plain = word.normalize('NFKD').replace(accents, '');
  const folded = plain.toUpperCase().toLowerCase().normalize('NFKD').replace(accents, '');
  return folded.replace(strokedLetters, (letter) => plainLetters.get(letter) ?? letter);
}

function clip(term: string): string {
  return term.length <= maxTermLength ? term : Array.from(term).slice(0, maxTermLength).join('');
}
