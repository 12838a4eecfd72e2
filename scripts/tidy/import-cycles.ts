import { listImports } from './imports.ts';
import { type Finding, listSources, type Rule } from './repository.ts';

/** No file reaches itself through what it imports at run time. Types may refer to each other. */
export const importCycles: Rule = {
  name: 'import cycles',
  check(repository) {
    const edges = new Map(
      listSources(repository).map(([path, text]) => [
        path,
        listImports(path, text).flatMap(({ target, isTypeOnly }) =>
          target === undefined || isTypeOnly ? [] : [target],
        ),
      ]),
    );
    const finished = new Set<string>();
    const findings: Finding[] = [];
    for (const start of edges.keys()) visit(start, []);
    return findings;

    function visit(path: string, trail: readonly string[]): void {
      const seenAt = trail.indexOf(path);
      if (seenAt !== -1) {
        findings.push({
          at: path,
          problem: `imports itself: ${[...trail.slice(seenAt), path].join(' -> ')}`,
        });
        return;
      }
      if (finished.has(path)) return;
      for (const target of edges.get(path) ?? []) visit(target, [...trail, path]);
      finished.add(path);
    }
  },
};
