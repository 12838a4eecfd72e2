import { listImports } from './imports.ts';
import { type Finding, listSources, type Rule } from './repository.ts';

/** From the bottom to the top; an import stays in its folder or goes down. */
const layers: readonly (readonly string[])[] = [
  ['errors', 'lib'],
  ['config', 'telemetry'],
  ['mcp', 'auth', 'sessions', 'policy', 'audit', 'client'],
  ['http', 'redis', 'database', 'sdk'],
  ['oauth'],
  ['identity', 'sharing', 'token-side', 'open-signing-keys'],
  ['sign-in', 'token-exchange', 'token-upkeep'],
  ['host'],
  ['cli', 'deploy', 'index', 'testing'],
];

/**
 * Ports and words of one domain that the others may call: types, and pure functions over them. Anything more needs a
 * port of its own.
 */
const vocabulary: ReadonlySet<string> = new Set(['src/auth/principal.ts', 'src/sessions/event-log.ts']);

/** Imports go down: a domain never knows an adapter. Beside each other only types are seen. */
export const importDirection: Rule = {
  name: 'import direction',
  check: (repository) => listSources(repository).flatMap(([path, text]) => checkFile(path, text)),
};

function checkFile(path: string, text: string): readonly Finding[] {
  const from = toFolder(path);
  const fromLayer = toLayer(from);
  if (fromLayer === -1)
    return [{ at: path, problem: `src/${from} has no place in the direction of imports: give it one` }];
  return listImports(path, text).flatMap(({ line, target, isTypeOnly }) => {
    if (target === undefined || !target.startsWith('src/')) return [];
    const to = toFolder(target);
    const toLayerIndex = toLayer(to);
    const isBeside = toLayerIndex === fromLayer && (isTypeOnly || fromLayer === 0 || vocabulary.has(target));
    const isAllowed = to === from || toLayerIndex < fromLayer || isBeside;
    if (isAllowed) return [];
    const advice =
      toLayerIndex > fromLayer
        ? 'own a port instead, and let host.ts join them'
        : 'import only types, or move it to lib';
    return [{ at: `${path}:${line}`, problem: `src/${from} imports ${target}: ${advice}` }];
  });
}

function toFolder(path: string): string {
  return (path.split('/')[1] ?? '').replace(/\.ts$/, '');
}

function toLayer(folder: string): number {
  return layers.findIndex((names) => names.includes(folder));
}
