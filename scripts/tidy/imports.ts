import { posix } from 'node:path';
import { blankComments } from './blank-comments.ts';
import { toLine } from './repository.ts';

/** One import or re-export of a file. */
export interface Import {
  readonly line: number;
  /** As written. */
  readonly specifier: string;
  /** The path it leads to, for a relative one. */
  readonly target: string | undefined;
  /** True when nothing of it remains at run time. */
  readonly isTypeOnly: boolean;
}

const statements =
  /^(?:import|export)\s+(type\s+)?([^;'"]*?)\bfrom\s+['"]([^'"]+)['"]|^import\s+['"]([^'"]+)['"]/gm;
const calls = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;

/** The imports of a source text, the dynamic ones with a literal path included. */
export function listImports(path: string, text: string): readonly Import[] {
  const code = blankComments(text);
  const found: Import[] = [];
  for (const match of code.matchAll(statements)) {
    const [, type, names = '', from, alone] = match;
    const specifier = from ?? alone ?? '';
    found.push(toImport(path, code, match.index, specifier, type !== undefined || areAllTypes(names)));
  }
  for (const match of code.matchAll(calls))
    found.push(toImport(path, code, match.index, match[1] ?? '', false));
  return found;
}

function areAllTypes(names: string): boolean {
  const list = /^\{([^}]*)\}\s*$/.exec(names.trim())?.[1];
  const parts = (list ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  return parts.length > 0 && parts.every((part) => part.startsWith('type '));
}

function toImport(path: string, code: string, index: number, specifier: string, isTypeOnly: boolean): Import {
  const target = specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : undefined;
  return { line: toLine(code, index), specifier, target, isTypeOnly };
}
