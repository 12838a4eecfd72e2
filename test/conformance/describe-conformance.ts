/**
 * The official conformance suite, server side, both requirement sets, against both versions of the fixture, with
 * authentication on. One test per scenario; scenarios that the suite runs without scoring count here like all others.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { prepareConformanceSuite, type RequirementSet, type SuiteResults } from './conformance-suite.ts';
import { listProblems, toLeftOutReason } from './conformance-verdict.ts';
import type { EverythingProcess, Fixture } from './everything-process.ts';
import { type HeaderProxy, startHeaderProxy } from './header-proxy.ts';

const sets: readonly RequirementSet[] = ['2026-07-28', '2025-11-25'];
const fixtures: readonly Fixture[] = ['definition', 'sdk'];
const runTimeoutMs = 250_000;
const fewestScenarios = 30;
const maxShownLogChars = 10_000;

/**
 * Declares the tests; to be awaited at the top level of a test file, because every scenario becomes a test, and tests
 * are named before anything runs.
 *
 * @param served how the fixture is served, for the tests' names
 */
export async function describeConformance(
  served: string,
  start: (fixture: Fixture) => Promise<EverythingProcess>,
): Promise<void> {
  const suite = await prepareConformanceSuite();
  const scenarios = new Map<RequirementSet, readonly string[]>();
  for (const set of sets) scenarios.set(set, await suite.listScenarios(set));

  describe.each(fixtures)(`conformance of the %s fixture, ${served}`, (fixture) => {
    let everything: EverythingProcess | undefined;
    let proxy: HeaderProxy | undefined;

    beforeAll(async () => {
      everything = await start(fixture);
      const { origin } = new URL(everything.url);
      proxy = await startHeaderProxy({
        target: origin,
        header: ['Authorization', `Bearer ${everything.key}`],
      });
    });

    afterAll(async () => {
      await proxy?.close();
      await everything?.stop();
    });

    test('refuses what comes without a key, so that the suite is behind authentication', async () => {
      const answer = await fetch(everything?.url ?? '', { method: 'POST', body: '{}' });
      expect(answer.status).toBe(401);
    });

    describe.each(sets)('requirements of %s', (set) => {
      const listed = scenarios.get(set) ?? [];
      let results: SuiteResults = { checks: new Map(), output: 'the suite did not start' };

      beforeAll(async () => {
        const { pathname } = new URL(everything?.url ?? '');
        results = await suite.run(set, `${proxy?.url}${pathname}`);
      }, runTimeoutMs);

      test('the set has not shrunk', () => {
        expect(listed.length).toBeGreaterThanOrEqual(fewestScenarios);
      });

      for (const scenario of listed) {
        const reason = toLeftOutReason(scenario);
        if (reason !== undefined) {
          test.skip(`${scenario} (left out: ${reason})`, () => undefined);
          continue;
        }
        test(scenario, () => {
          const problems = listProblems(scenario, results);
          const logs = (everything?.readLogs() ?? []).map((log) => log.slice(-maxShownLogChars));
          expect(problems, [...problems, 'The logs of the fixture:', ...logs].join('\n')).toEqual([]);
        });
      }
    });

    test('no process logged an error', () => {
      const lines = (everything?.readLogs() ?? []).flatMap((log) => log.split('\n'));
      expect(lines.filter((line) => line.includes('"level":"error"'))).toEqual([]);
    });

    test('every process took part', () => {
      for (const log of everything?.readLogs() ?? []) expect(log).toMatch(/"method":"POST".*"status":200/);
    });
  });
}
