import type { ConformanceCheck, SuiteResults } from './conformance-suite.ts';

const maxEvidenceChars = 2000;

/** Scenarios of extensions that this server does not have, with the reason. */
const leftOut: readonly (readonly [prefix: string, reason: string])[] = [
  ['tasks-', 'the tasks extension is not implemented'],
  ['sep-2640-skills-', 'the skills extension is not implemented'],
];

/**
 * Checks that some scenarios report only as information when a server avoids what they test. Here they must succeed.
 */
const mustSucceed: Readonly<Record<string, readonly string[]>> = {
  'server-sse-polling': [
    'server-sse-priming-event',
    'server-sse-retry-field',
    'server-sse-disconnect-resume',
  ],
  'server-session-lifecycle': [
    'server-session-initialized-accepted',
    'server-session-delete-accepted',
    'server-session-terminated-returns-404',
  ],
  'server-stateless': [
    'sep-2575-server-sends-tools-list-changed-on-subscription',
    'sep-2575-server-sends-prompts-list-changed-on-subscription',
  ],
};

/** Why a scenario is not judged; `undefined` for all others. */
export function toLeftOutReason(scenario: string): string | undefined {
  return leftOut.find(([prefix]) => scenario.startsWith(prefix))?.[1];
}

/** Everything that keeps a scenario from passing, one line each with the check's id and message; empty when it passes. */
export function listProblems(scenario: string, results: SuiteResults): readonly string[] {
  const checks = results.checks.get(scenario);
  if (checks === undefined) return [`${scenario} did not run. The suite's last words:\n${results.output}`];
  const problems = checks.filter(isProblem).map((check) => describeCheck(scenario, check));
  const succeeded = new Set(checks.filter(({ status }) => status === 'SUCCESS').map(({ id }) => id));
  if (succeeded.size === 0) problems.push(`${scenario}: not one check succeeded`);
  for (const id of mustSucceed[scenario] ?? []) {
    const isReported = checks.some((check) => check.id === id && isProblem(check));
    if (!succeeded.has(id) && !isReported) problems.push(`${scenario} / ${id}: must succeed and did not`);
  }
  return problems;
}

function isProblem({ status }: ConformanceCheck): boolean {
  return status !== 'SUCCESS' && status !== 'INFO';
}

function describeCheck(
  scenario: string,
  { id, name, status, errorMessage, details }: ConformanceCheck,
): string {
  const evidence = details === undefined ? '' : `\n    ${JSON.stringify(details).slice(0, maxEvidenceChars)}`;
  return `${scenario} / ${id} (${name}) ${status}: ${errorMessage ?? 'no message'}${evidence}`;
}
