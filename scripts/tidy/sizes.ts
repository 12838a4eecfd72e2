import { blankComments } from './blank-comments.ts';
import { listSources, type Repository } from './repository.ts';

/** A file or a function, and its lines of code: neither blank nor comment. */
export interface Size {
  readonly name: string;
  readonly lines: number;
}

const functionStart =
  /^(\s*)(?:export\s+)?(?:async\s+)?(?:function\b|(?:static\s+|async\s+|get\s+|set\s+|#)*[\w$]+\s*\().*[{(,]$|^(\s*).*=>\s*\{$/;

/** The largest files of the product, largest first. */
export function listFileSizes(repository: Repository): readonly Size[] {
  return sort(
    listSources(repository).map(([path, text]) => ({ name: path, lines: countCode(text.split('\n')) })),
  );
}

/** The largest functions, largest first. Their ends are found by indentation, which the formatter guarantees. */
export function listFunctionSizes(repository: Repository): readonly Size[] {
  return sort(listSources(repository).flatMap(([path, text]) => listFunctions(path, text)));
}

function listFunctions(path: string, text: string): readonly Size[] {
  const lines = blankComments(text, { withText: false }).split('\n');
  return lines.flatMap((line, index) => {
    const match = functionStart.exec(line);
    if (match === null || /^\s*(?:if|for|while|switch|return|super)\b/.test(line)) return [];
    const end = new RegExp(`^${match[1] ?? match[2] ?? ''}\\}[;,)]*$`);
    const length = lines.slice(index + 1).findIndex((other) => end.test(other));
    if (length === -1) return [];
    return [
      { name: `${path}:${index + 1}`, lines: countCode(text.split('\n').slice(index, index + length + 2)) },
    ];
  });
}

function countCode(lines: readonly string[]): number {
  return blankComments(lines.join('\n'))
    .split('\n')
    .filter((line) => line.trim() !== '').length;
}

function sort(sizes: readonly Size[]): readonly Size[] {
  return sizes.toSorted((one, other) => other.lines - one.lines);
}
