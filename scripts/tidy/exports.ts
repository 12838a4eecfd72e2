import { blankComments } from './blank-comments.ts';
import { type Finding, listSources, type Rule, toLine } from './repository.ts';

const declaration =
  /^export\s+(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:function\*?|const|let|var|class|interface|type|enum)\s+([A-Za-z0-9_$]+)/gm;

const alias = /^export type [^{]*;$/;

/**
 * Every export of the product says what it is; overloads need it once. A type alias of one line may lean on the
 * docstring that opens its file.
 */
export const undocumentedExports: Rule = {
  name: 'undocumented exports',
  check: (repository) => listSources(repository).flatMap(([path, text]) => checkFile(path, text)),
};

/** Names stay the same at both ends of an import, so none is passed on unseen. */
export const wholesaleExports: Rule = {
  name: 'export *',
  check: (repository) =>
    listSources(repository).flatMap(([path, text]) => {
      const code = blankComments(text);
      return [...code.matchAll(/^export\s+\*/gm)].map((match) => ({
        at: `${path}:${toLine(code, match.index)}`,
        problem: 'export *: name what is exported',
      }));
    }),
};

function checkFile(path: string, text: string): readonly Finding[] {
  const lines = text.split('\n');
  const documented = new Set<string>();
  return [...text.matchAll(declaration)].flatMap((match) => {
    const [, name = ''] = match;
    const line = toLine(text, match.index);
    const isAlias = text.startsWith('/**') && alias.test(lines[line - 1] ?? '');
    if (isAlias || hasDocstring(lines, line)) documented.add(name);
    return documented.has(name) ? [] : [{ at: `${path}:${line}`, problem: `${name} has no docstring` }];
  });
}

/** Whether a docstring ends right above a line, with at most line comments between. */
function hasDocstring(lines: readonly string[], line: number): boolean {
  let above = line - 2;
  while (lines[above]?.startsWith('//')) above -= 1;
  return lines[above]?.trimEnd().endsWith('*/') ?? false;
}
