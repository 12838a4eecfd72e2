/**
 * `npm run bench`: what a call costs here, against a bare `node:http` echo and against other servers.
 *
 * Standard output is the report alone; progress and failures go to standard error.
 */
import { parseArgs } from 'node:util';
import { measureAuthentication } from './authentication.ts';
import { bareName, listCases, type BenchCase } from './cases.ts';
import { measureExtras } from './extras.ts';
import { installPeers } from './peers-installed.ts';
import { measureRedisExtras } from './redis-extras.ts';
import { measureRedisScale } from './redis-scale.ts';
import { describeMachine, renderReport, toCaseFigures, type Report } from './report.ts';
import { runRounds } from './rounds.ts';
import { connectionCount, prepareCase, warmUp, type PreparedCase } from './sampler.ts';
import { ServerPool } from './server-pool.ts';

const help = `npm run bench -- [options]
  --rounds <n>     rounds over all cases, interleaved; default 7, or fewer on a busy machine
  --seconds <n>    length of one sample; default 0.5
  --only <words>   cases whose name contains one of these, separated by commas; bare is always measured
  --no-extras      leave out cold start, memory and session figures
  --scale          also sessions, streams and questions on Redis at size; some four minutes more
  --json           one JSON object on standard output
`;

interface Options {
  readonly rounds: number;
  readonly limitMs: number;
  readonly seconds: number;
  readonly only: readonly string[];
  readonly json: boolean;
  readonly extras: boolean;
  readonly scale: boolean;
}

const defaultRounds = 7;
/** Of the rounds alone; with the start before and the extra figures after them a run stays under eight minutes. */
const defaultLimitMs = 240_000;

// What was started ends with this process, also when it is told to stop.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
await main();

async function main(): Promise<void> {
  const options = parseOptions();
  if (options === undefined) return;
  const installProblem = await installPeers(say);
  if (installProblem !== undefined) say(`peers are missing: ${installProblem}`);
  const cases = listCases().filter((each) => isWanted(each, options.only));
  const failures = new Map<BenchCase, string>();
  const figures = await measureCases(cases, options, failures);
  const wantsExtras = (server: string): boolean =>
    options.extras && cases.some(({ name }) => name.startsWith(server));
  const report: Report = {
    machine: describeMachine(),
    node: process.version,
    connections: connectionCount,
    rounds: options.rounds,
    seconds: options.seconds,
    cases: figures,
    extras: {
      ...(wantsExtras('mooring/') ? await measureExtras(say) : {}),
      ...(wantsExtras('mooring/') ? await measureAuthentication(say) : {}),
      ...(wantsExtras('mooring-redis/') ? await measureRedisExtras(say) : {}),
      ...(options.scale ? await measureRedisScale(say) : {}),
    },
  };
  process.stdout.write(options.json ? `${JSON.stringify(report, undefined, 2)}\n` : renderReport(report));
  if (failures.size > 0) process.exitCode = 1;
}

async function measureCases(
  cases: readonly BenchCase[],
  { rounds, limitMs, seconds }: Options,
  failures: Map<BenchCase, string>,
): Promise<Report['cases']> {
  const pool = new ServerPool();
  try {
    const [bare, ...others] = await prepareAll(cases, pool, failures);
    if (bare?.benchCase.name !== bareName)
      throw new Error('the bare echo cannot be measured: there is no yardstick');
    const samples = await runRounds(bare, others, {
      rounds,
      sampleMs: seconds * 1000,
      limitMs,
      report: say,
      onFailure: (benchCase, error) => fail(failures, benchCase, error),
    });
    return toCaseFigures(samples, failures);
  } finally {
    await pool.close();
  }
}

async function prepareAll(
  cases: readonly BenchCase[],
  pool: ServerPool,
  failures: Map<BenchCase, string>,
): Promise<readonly PreparedCase[]> {
  const prepared: PreparedCase[] = [];
  for (const each of cases) {
    say(`starting ${each.name}`);
    try {
      const ready = await prepareCase(each, pool);
      await warmUp(ready);
      prepared.push(ready);
    } catch (error) {
      fail(failures, each, error);
    }
  }
  return prepared;
}

function fail(failures: Map<BenchCase, string>, benchCase: BenchCase, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  failures.set(benchCase, message);
  say(`${benchCase.name} is left out: ${message}`);
}

function isWanted({ name }: BenchCase, only: readonly string[]): boolean {
  return only.length === 0 || name === bareName || only.some((word) => name.includes(word));
}

function parseOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string' },
      seconds: { type: 'string', default: '0.5' },
      only: { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
      extras: { type: 'boolean', default: true },
      scale: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
    allowNegative: true,
  });
  if (values.help) {
    process.stdout.write(help);
    return undefined;
  }
  const [rounds, seconds] = [Number(values.rounds ?? defaultRounds), Number(values.seconds)];
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100)
    throw new TypeError('--rounds must be 1 to 100');
  if (!(seconds >= 0.1 && seconds <= 60)) throw new TypeError('--seconds must be 0.1 to 60');
  const only = values.only.split(',').filter((word) => word !== '');
  const limitMs = values.rounds === undefined ? defaultLimitMs : Number.POSITIVE_INFINITY;
  return { rounds, limitMs, seconds, only, json: values.json, extras: values.extras, scale: values.scale };
}

function say(line: string): void {
  process.stderr.write(`bench: ${line}\n`);
}
