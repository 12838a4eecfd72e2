import { blankComments } from './blank-comments.ts';
import { type Finding, listSources, type Rule, toLine } from './repository.ts';

const runbook = 'docs/operations/running.md';
const logged = /\b[lL]ogger\??\.(?:debug|info|warn|error)\(\s*'([^']+)'|\bevent: '([a-z]+\.[a-z_]+)'/g;

/** Every event that the product logs is told of where an operator looks it up. */
export const undocumentedEvents: Rule = {
  name: 'undocumented log events',
  check(repository) {
    const documented = repository.get(runbook) ?? '';
    return listSources(repository).flatMap(([path, text]) => checkFile(path, text, documented));
  },
};

function checkFile(path: string, text: string, documented: string): readonly Finding[] {
  const code = blankComments(text);
  return [...code.matchAll(logged)].flatMap((match) => {
    const event = match[1] ?? match[2] ?? '';
    if (documented.includes(`\`${event}\``)) return [];
    return [{ at: `${path}:${toLine(code, match.index)}`, problem: `${event} is not in ${runbook}` }];
  });
}
