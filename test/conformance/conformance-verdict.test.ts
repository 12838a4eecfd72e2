import { describe, expect, test } from 'vitest';
import { type ConformanceCheck, parseScenarios } from './conformance-suite.ts';
import { listProblems, toLeftOutReason } from './conformance-verdict.ts';

const passed: ConformanceCheck = { id: 'ping', name: 'Ping', status: 'SUCCESS' };

function judge(scenario: string, ...checks: readonly ConformanceCheck[]): readonly string[] {
  return listProblems(scenario, { checks: new Map([[scenario, checks]]), output: '' });
}

describe('conformance verdict', () => {
  test('passes a scenario of successes and information', () => {
    expect(judge('ping', passed, { id: 'note', name: 'Note', status: 'INFO' })).toEqual([]);
  });

  test.each(['FAILURE', 'WARNING', 'SKIPPED'] as const)(
    'names scenario, check and message of a %s',
    (status) => {
      const check = { id: 'sep-1', name: 'Sep', status, errorMessage: 'got 200' };
      expect(judge('ping', passed, check)).toEqual([`ping / sep-1 (Sep) ${status}: got 200`]);
    },
  );

  test('does not pass a scenario that did not run, or in which nothing succeeded', () => {
    expect(listProblems('ping', { checks: new Map(), output: 'ECONNREFUSED' })).toEqual([
      expect.stringMatching(/^ping did not run[^]*ECONNREFUSED/),
    ]);
    expect(judge('ping', { id: 'note', name: 'Note', status: 'INFO' })).toEqual([
      'ping: not one check succeeded',
    ]);
  });

  test('does not take information for a stream that was never resumed', () => {
    const avoided: ConformanceCheck = { id: 'server-sse-disconnect-resume', name: 'Resume', status: 'INFO' };
    expect(judge('server-sse-polling', passed, avoided)).toContainEqual(
      'server-sse-polling / server-sse-disconnect-resume: must succeed and did not',
    );
  });

  test('leaves out the extensions that are not there, and nothing else', () => {
    expect(toLeftOutReason('tasks-lifecycle')).toMatch(/tasks extension/);
    expect(toLeftOutReason('tools-list')).toBeUndefined();
  });
});

describe('scenario listing', () => {
  const listing = [
    'Required for 2026-07-28 (3 scenarios):',
    '',
    'Server scenarios (test against a server):',
    '  - tools-list',
    '  - caching',
    '',
    'Client scenarios (test against a client):',
    '  - tools_call',
    '',
    'Run and reported, but never scored:',
    '  pending (2):',
    '    - auth/dpop [client]',
    '    - http-header-validation [server]',
    '',
  ].join('\n');

  test('finds scored and unscored server scenarios and no client ones', () => {
    expect(parseScenarios(listing)).toEqual(['tools-list', 'caching', 'http-header-validation']);
  });

  test('refuses a listing it does not understand instead of testing nothing', () => {
    expect(() => parseScenarios('Usage: conformance')).toThrow(/no server scenarios/);
  });
});
