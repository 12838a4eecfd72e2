/** The official conformance suite as a tool of this machine: installed once, listed, run, and its results read. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execute, prepareNodeTool } from '../node-tool.ts';

const suite = {
  packageName: '@modelcontextprotocol/conformance',
  version: '0.2.0-alpha.12',
  script: 'dist/index.js',
} as const;
const listTimeoutMs = 20_000;
const runTimeoutMs = 240_000;

/** A revision of the specification for which the suite has a requirement set. */
export type RequirementSet = '2025-11-25' | '2026-07-28';

/** One line of the suite's verdict. */
export interface ConformanceCheck {
  readonly id: string;
  readonly name: string;
  readonly status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO';
  readonly errorMessage?: string;
  readonly details?: unknown;
}

/** What one run left behind. */
export interface SuiteResults {
  /** Checks by scenario; a scenario that did not run has no entry. */
  readonly checks: ReadonlyMap<string, readonly ConformanceCheck[]>;
  /** The end of what the suite printed, for a failure message. */
  readonly output: string;
}

/** The suite, ready to run. */
export interface ConformanceSuite {
  /** Server scenarios of a set in the suite's order, those that it runs without scoring included. */
  listScenarios(set: RequirementSet): Promise<readonly string[]>;
  /** Runs the whole set against a server. */
  run(set: RequirementSet, url: string): Promise<SuiteResults>;
  /** Runs what there is for authorization servers. */
  runAuthorization(set: RequirementSet, options: AuthorizationRun): Promise<SuiteResults>;
}

/** What the suite is told of an authorization server. */
export interface AuthorizationRun {
  readonly issuer: string;
  readonly clientId: string;
  readonly resource: string;
  /** Where the suite waits for the browser to come back, at `/callback`. */
  readonly port: number;
  /** Told the page that the suite wants a person to visit. */
  readonly onPage: (url: string) => void;
}

/**
 * Installs the suite unless this machine has it.
 *
 * @throws Error when the registry cannot be reached or the installation does not run
 */
export async function prepareConformanceSuite(): Promise<ConformanceSuite> {
  const { command } = await prepareNodeTool(suite);
  return {
    listScenarios: async (set) => {
      const { output } = await execute(
        [...command, 'list', '--server', '--requirements', set],
        listTimeoutMs,
      );
      return parseScenarios(output);
    },
    run: (set, url) => runSuite(command, ['server', '--url', url, '--requirements', set]),
    runAuthorization: (set, { issuer, clientId, resource, port, onPage }) => {
      const about = [
        '--url',
        issuer,
        '--client-id',
        clientId,
        '--resource',
        resource,
        '--port',
        String(port),
      ];
      let page: string | undefined;
      return runSuite(command, ['authorization', ...about, '--spec-version', set], (out) => {
        if (page !== undefined) return;
        page = /^https?:\/\/\S+\/authorize\?\S+$/m.exec(out)?.[0];
        if (page !== undefined) onPage(page);
      });
    },
  };
}

/** Server scenarios in the text of `conformance list`: one section of plain names, one of names marked `[server]`. */
export function parseScenarios(listing: string): readonly string[] {
  const scored = /^Server scenarios[^\n]*\n((?: {2}- \S+\n)+)/m.exec(listing)?.[1] ?? '';
  const names = [...scored.matchAll(/- (\S+)/g), ...listing.matchAll(/^ +- (\S+) \[server\]/gm)];
  if (scored === '') throw new Error(`The conformance suite listed no server scenarios:\n${listing}`);
  return names.map(([, name]) => name as string);
}

async function runSuite(
  command: readonly string[],
  args: readonly string[],
  onOutput?: (out: string) => void,
): Promise<SuiteResults> {
  const folder = mkdtempSync(join(tmpdir(), 'mooring-conformance-'));
  try {
    const { output } = await execute(
      [...command, ...args, '--output-dir', folder],
      runTimeoutMs,
      onOutput === undefined ? {} : { onOutput },
    );
    return { checks: readChecks(folder), output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The suite writes `server-<scenario>-<time>/checks.json`, or begins with `authorization-`. */
function readChecks(folder: string): ReadonlyMap<string, readonly ConformanceCheck[]> {
  const checks = new Map<string, readonly ConformanceCheck[]>();
  for (const name of readdirSync(folder)) {
    const scenario = /^(?:authorization-)?server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(name)?.[1];
    const file = join(folder, name, 'checks.json');
    if (scenario === undefined || !existsSync(file)) continue;
    checks.set(scenario, JSON.parse(readFileSync(file, 'utf8')) as ConformanceCheck[]);
  }
  return checks;
}
