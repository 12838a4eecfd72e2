/**
 * The official conformance suite as a tool of this machine: installed once, listed, run, and its results read.
 *
 * The suite needs Node 22 and the project supports older ones, so a Node of its own is installed beside it where
 * this process is too old. Both come from the npm registry with exact versions and without install scripts.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

const suitePackage = '@modelcontextprotocol/conformance';
const suiteVersion = '0.2.0-alpha.12';
const nodeVersion = '22.23.3';
const neededNodeMajor = 22;

const installTimeoutMs = 300_000;
const listTimeoutMs = 20_000;
const runTimeoutMs = 240_000;
const maxOutputChars = 20_000;

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
}

/**
 * Installs the suite unless this machine has it.
 *
 * @throws Error when the registry cannot be reached or the installation does not run
 */
export async function prepareConformanceSuite(): Promise<ConformanceSuite> {
  const folder = join(
    toCacheRoot(),
    'mooring',
    `conformance-${suiteVersion}-${toNodePackage() ?? 'own-node'}`,
  );
  if (!existsSync(folder)) await install(folder);
  const command = [
    toNodeBinary(folder),
    join(folder, 'node_modules', suitePackage, 'dist/index.js'),
  ] as const;
  return {
    listScenarios: async (set) => {
      const { output } = await execute(
        [...command, 'list', '--server', '--requirements', set],
        listTimeoutMs,
      );
      return parseScenarios(output);
    },
    run: (set, url) => runSuite(command, set, url),
  };
}

/** Server scenarios in the text of `conformance list`: one section of plain names, one of names marked `[server]`. */
export function parseScenarios(listing: string): readonly string[] {
  const scored = /^Server scenarios[^\n]*\n((?: {2}- \S+\n)+)/m.exec(listing)?.[1] ?? '';
  const names = [...scored.matchAll(/- (\S+)/g), ...listing.matchAll(/^ +- (\S+) \[server\]/gm)];
  if (scored === '') throw new Error(`The conformance suite listed no server scenarios:\n${listing}`);
  return names.map(([, name]) => name as string);
}

async function runSuite(command: readonly string[], set: RequirementSet, url: string): Promise<SuiteResults> {
  const folder = mkdtempSync(join(tmpdir(), 'mooring-conformance-'));
  try {
    const args = ['server', '--url', url, '--requirements', set, '--output-dir', folder];
    const { output } = await execute([...command, ...args], runTimeoutMs);
    return { checks: readChecks(folder), output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The suite writes `server-<scenario>-<time>/checks.json`. */
function readChecks(folder: string): ReadonlyMap<string, readonly ConformanceCheck[]> {
  const checks = new Map<string, readonly ConformanceCheck[]>();
  for (const name of readdirSync(folder)) {
    const scenario = /^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(name)?.[1];
    const file = join(folder, name, 'checks.json');
    if (scenario === undefined || !existsSync(file)) continue;
    checks.set(scenario, JSON.parse(readFileSync(file, 'utf8')) as ConformanceCheck[]);
  }
  return checks;
}

/** Installs beside the final place and moves it there whole, so that an interrupted run leaves nothing half done. */
async function install(folder: string): Promise<void> {
  mkdirSync(dirname(folder), { recursive: true });
  const staging = mkdtempSync(join(dirname(folder), `.${basename(folder)}-`));
  try {
    const nodePackage = toNodePackage();
    const packages = [`${suitePackage}@${suiteVersion}`];
    if (nodePackage !== undefined) packages.push(`${nodePackage}@${nodeVersion}`);
    const flags = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--engine-strict=false'];
    // npm tells its children where it is; outside of npm the one on the path has to do.
    const npm =
      process.env['npm_execpath'] === undefined ? ['npm'] : [process.execPath, process.env['npm_execpath']];
    const { code, output } = await execute(
      [...npm, 'install', '--prefix', staging, ...flags, ...packages],
      installTimeoutMs,
      staging,
    );
    if (code !== 0) throw new Error(`Could not install ${packages.join(' and ')}:\n${output}`);
    moveUnlessThere(staging, folder);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

function moveUnlessThere(staging: string, folder: string): void {
  try {
    renameSync(staging, folder);
  } catch (error) {
    // Another run was faster; its copy is as good.
    if (!existsSync(folder)) throw error;
  }
}

/** The package that holds nothing but a Node binary for this machine; `undefined` when this process is new enough. */
function toNodePackage(): string | undefined {
  if (Number.parseInt(process.versions.node, 10) >= neededNodeMajor) return undefined;
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const prefix = platform === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node';
  return `${prefix}-${platform}-${process.arch}`;
}

function toNodeBinary(folder: string): string {
  const name = toNodePackage();
  if (name === undefined) return process.execPath;
  return join(folder, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
}

function toCacheRoot(): string {
  return process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
}

interface Execution {
  readonly code: number | null;
  readonly output: string;
}

/** Runs to the end, or kills it when the time is over. */
function execute(command: readonly string[], timeoutMs: number, cwd: string = tmpdir()): Promise<Execution> {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    let output = '';
    const keep = (chunk: string): void => {
      output = `${output}${chunk}`.slice(-maxOutputChars);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const end = signal === null ? '' : `\n(stopped by ${signal} after at most ${timeoutMs} ms)`;
      resolve({ code, output: output + end });
    });
  });
}
