import { blankComments } from './blank-comments.ts';
import { listImports } from './imports.ts';
import { type Finding, listSources, type Rule, toLine } from './repository.ts';

interface Door {
  readonly pattern: RegExp;
  /** Files that may. */
  readonly keepers: RegExp;
  readonly instead: string;
}

/** Things of the outside that one place handles, by what the code says. */
const codeDoors: readonly Door[] = [
  {
    pattern: /\bprocess\s*\.\s*env\b/g,
    keepers: /^src\/config\/env\.ts$/,
    instead: 'take a setting as an argument; config/env.ts reads the environment',
  },
  {
    pattern: /\bprocess\s*\.\s*(?:exit|abort|kill)\b/g,
    keepers: /^src\/cli\//,
    instead: 'throw; cli/ ends the process',
  },
  {
    pattern: /\bprocess\s*\.\s*(?:on|once|addListener)\b/g,
    keepers: /^src\/(?:cli\/|telemetry\/stderr-destination\.ts$)/,
    instead: 'offer close(); cli/ listens to the process',
  },
  { pattern: /\bconsole\s*\./g, keepers: /^src\/cli\//, instead: 'use the logger; cli/ prints' },
];

/** The same, by what is imported at run time. */
const importDoors: readonly Door[] = [
  {
    pattern: /^node:(?:http|https|http2|net|tls)$/,
    // The latter for what it knows of addresses: it opens nothing.
    keepers: /^src\/(?:http\/node-[^/]+|oauth\/public-fetch\.ts)$/,
    instead: 'take and return plain values; http/node-server.ts has the sockets',
  },
  {
    pattern: /^(?:libsql|pg|kysely)(?:\/|$)/,
    keepers: /^src\/database\//,
    instead: 'go through the port; database/ has the drivers',
  },
  {
    pattern: /^(?:ioredis|redis|@redis\/.*)$/,
    keepers: /^src\/redis\//,
    instead: 'go through the port; redis/ has the client',
  },
  { pattern: /^pino(?:\/|$)/, keepers: /^src\/telemetry\//, instead: 'use the Logger of telemetry/' },
  { pattern: /^commander$/, keepers: /^src\/cli\//, instead: 'move it to cli/' },
  {
    pattern: /^@modelcontextprotocol\/(?:server|client|sdk)(?:\/|$)/,
    keepers: /^src\/(?:sdk|client)\//,
    instead: 'use the types of mcp/; sdk/ hosts servers of the official SDK',
  },
];

/** One door to each outside thing. */
export const secondDoors: Rule = {
  name: 'second doors',
  check: (repository) =>
    listSources(repository).flatMap(([path, text]) => [
      ...checkCode(path, text),
      ...checkImports(path, text),
    ]),
};

function checkCode(path: string, text: string): readonly Finding[] {
  const code = blankComments(text, { withText: false });
  return codeDoors
    .filter(({ keepers }) => !keepers.test(path))
    .flatMap(({ pattern, instead }) =>
      [...code.matchAll(pattern)].map((match) => ({
        at: `${path}:${toLine(code, match.index)}`,
        problem: `${match[0]}: ${instead}`,
      })),
    );
}

function checkImports(path: string, text: string): readonly Finding[] {
  return listImports(path, text)
    .filter(({ isTypeOnly }) => !isTypeOnly)
    .flatMap(({ specifier, line }) =>
      importDoors
        .filter(({ pattern, keepers }) => pattern.test(specifier) && !keepers.test(path))
        .map(({ instead }) => ({ at: `${path}:${line}`, problem: `imports ${specifier}: ${instead}` })),
    );
}
