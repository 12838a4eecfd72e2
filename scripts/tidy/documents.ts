import { posix } from 'node:path';
import { type Finding, type Repository, type Rule, toLine } from './repository.ts';

const links = /\]\(([^)\s]+)\)/g;
const quotedPaths = /`((?:src|docs|scripts|test|servers|bench|\.ci)\/[A-Za-z0-9._/-]*)`/g;

/** Every path that a document names exists. */
export const documentPaths: Rule = {
  name: 'paths in documents',
  check(repository) {
    const known = listPaths(repository);
    return [...repository]
      .filter(([path]) => path.endsWith('.md'))
      .flatMap(([path, text]) => checkDocument(path, text, known));
  },
};

const forbidden: readonly { readonly pattern: RegExp; readonly problem: string }[] = [
  {
    pattern: /https?:\/\/registry\.[a-z]/gi,
    problem: 'names a package registry: leave that to the configuration of npm',
  },
  { pattern: /\.\.\/shared\b/g, problem: 'names a folder outside this repository' },
  { pattern: /(?<![\w.])\/work\//g, problem: 'names a path of one machine' },
];

/** Nothing points to what only one machine has. */
export const forbiddenWords: Rule = {
  name: 'forbidden words',
  check: (repository) =>
    [...repository].flatMap(([path, text]) =>
      forbidden.flatMap(({ pattern, problem }) =>
        [...text.matchAll(pattern)].map((match) => ({
          at: `${path}:${toLine(text, match.index)}`,
          problem: `${match[0]} ${problem}`,
        })),
      ),
    ),
};

function checkDocument(path: string, text: string, known: ReadonlySet<string>): readonly Finding[] {
  const targets = [
    ...[...text.matchAll(links)].map((match) => ({ match, target: resolveLink(path, match[1] ?? '') })),
    ...[...text.matchAll(quotedPaths)].map((match) => ({
      match,
      target: resolveQuoted(path, match[1] ?? '', known),
    })),
  ];
  return targets.flatMap(({ match, target }) =>
    target === undefined || known.has(target)
      ? []
      : [{ at: `${path}:${toLine(text, match.index)}`, problem: `${target} does not exist` }],
  );
}

function resolveLink(path: string, link: string): string | undefined {
  const [target = ''] = link.split('#');
  if (target === '' || /^[a-z][a-z0-9+.-]*:/i.test(target)) return undefined;
  return trim(target.startsWith('/') ? target.slice(1) : posix.join(posix.dirname(path), target));
}

/** From the root, or from the folder of the document. */
function resolveQuoted(path: string, quoted: string, known: ReadonlySet<string>): string {
  const near = trim(posix.join(posix.dirname(path), quoted));
  return known.has(near) ? near : trim(quoted);
}

function trim(path: string): string {
  return path.replace(/\/+$/, '');
}

/** Files and every folder above them. */
function listPaths(repository: Repository): ReadonlySet<string> {
  const paths = new Set<string>();
  for (const path of repository.keys()) {
    for (let part = path; part !== '.'; part = posix.dirname(part)) paths.add(part);
  }
  return paths;
}
