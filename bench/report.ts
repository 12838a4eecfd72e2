/** The figures of a run, as one object and as a table. */
import { arch, cpus, platform, totalmem } from 'node:os';
import type { BenchCase } from './cases.ts';
import { noisyShare, type RatedSample } from './rounds.ts';
import { round, toMedian } from './statistics.ts';

/** One case in the report, each figure the median of its samples. */
export interface CaseFigures {
  readonly rps: number;
  /** Requests per second, as a share of the bare echo's around the same moment. */
  readonly rpsRatio: number;
  /** The server's CPU time for one request. */
  readonly cpuMicros: number;
  /** The same, in multiples of the bare echo's around the same moment. */
  readonly cpuRatio: number;
  readonly p99Ms: number;
  /** Median share of the machine that neither server nor client used; null where unknown. */
  readonly foreignShare: number | null;
  readonly samples: number;
  readonly note: string;
}

/** A case that could not be measured. */
export interface FailedCase {
  readonly error: string;
}

/** The whole report. */
export interface Report {
  readonly machine: {
    readonly cpu: string;
    readonly cpus: number;
    readonly memoryGiB: number;
    readonly os: string;
  };
  readonly node: string;
  readonly connections: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly cases: Readonly<Record<string, CaseFigures | FailedCase>>;
  readonly extras: Readonly<Record<string, unknown>>;
}

/** The machine in terms that mean something elsewhere. */
export function describeMachine(): Report['machine'] {
  const [first] = cpus();
  const memoryGiB = round(totalmem() / 2 ** 30, 1);
  return { cpu: first?.model ?? 'unknown', cpus: cpus().length, memoryGiB, os: `${platform()} ${arch()}` };
}

/** The medians of every case that was measured to the end, and why the others were not. */
export function toCaseFigures(
  samples: ReadonlyMap<BenchCase, readonly RatedSample[]>,
  failures: ReadonlyMap<BenchCase, string>,
): Readonly<Record<string, CaseFigures | FailedCase>> {
  const rows = [...samples].filter(([each, taken]) => taken.length > 0 && !failures.has(each));
  const figures = rows.map(([each, taken]): [string, CaseFigures] => [
    each.name,
    toFigures(taken, each.note),
  ]);
  const failed = [...failures].map(([each, error]): [string, FailedCase] => [each.name, { error }]);
  return Object.fromEntries([...figures, ...failed]);
}

function toFigures(samples: readonly RatedSample[], note: string): CaseFigures {
  const median = (pick: (sample: RatedSample) => number, digits: number): number =>
    round(toMedian(samples.map(pick)), digits);
  const foreign = samples.flatMap(({ foreignShare }) => (foreignShare === undefined ? [] : [foreignShare]));
  return {
    rps: median(({ rps }) => rps, 0),
    rpsRatio: median(({ rpsRatio }) => rpsRatio, 3),
    cpuMicros: median(({ cpuMicros }) => cpuMicros, 1),
    cpuRatio: median(({ cpuRatio }) => cpuRatio, 2),
    p99Ms: median(({ p99Ms }) => p99Ms, 2),
    foreignShare: foreign.length === 0 ? null : round(toMedian(foreign), 3),
    samples: samples.length,
    note,
  };
}

/** The report for people: cheapest first, what could not be measured last. */
export function renderReport(report: Report): string {
  const measured = Object.entries(report.cases)
    .flatMap(([name, figures]) => ('error' in figures ? [] : [{ name, ...figures }]))
    .toSorted((left, right) => left.cpuRatio - right.cpuRatio);
  const header = ['case', 'rps', 'x bare', 'cpu µs', 'x bare', 'p99 ms', 'foreign', 'how'];
  const rows = measured.map((row) => [
    row.name,
    String(row.rps),
    row.rpsRatio.toFixed(3),
    row.cpuMicros.toFixed(1),
    row.cpuRatio.toFixed(2),
    row.p99Ms.toFixed(2),
    row.foreignShare === null ? '-' : `${Math.round(row.foreignShare * 100)} %`,
    row.note,
  ]);
  const { machine } = report;
  const failed = Object.entries(report.cases).flatMap(([name, each]) =>
    'error' in each ? [{ name, ...each }] : [],
  );
  const isNoisy = measured.some(({ foreignShare }) => (foreignShare ?? 0) > noisyShare);
  return [
    `${machine.cpus} CPUs (${machine.cpu}), ${machine.memoryGiB} GiB, ${machine.os}, Node ${report.node}`,
    `${report.connections} connections, closed loop, medians of ${report.rounds} rounds of ${report.seconds} s`,
    '',
    ...renderTable([header, ...rows]),
    ...(failed.length === 0 ? [] : ['', 'not measured:']),
    ...failed.map(({ name, error }) => `  ${name}: ${error.split('\n', 1)[0]}`),
    '',
    ...renderExtras(report.extras),
    ...(isNoisy
      ? ['', `Other programs used over ${noisyShare * 100} % of this machine: trust ratios, not absolutes.`]
      : []),
    '',
  ].join('\n');
}

function renderExtras(extras: Report['extras']): readonly string[] {
  return renderTable(Object.entries(extras).map(([name, value]) => [name, String(value)]));
}

/** The first and last columns are words and stand left, the others are figures and stand right. */
function renderTable(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const pad = (cell: string, column: number): string => {
    const width = widths[column] ?? 0;
    return column === 0 || column === widths.length - 1 ? cell.padEnd(width) : cell.padStart(width);
  };
  return rows.map((row) => row.map(pad).join('  ').trimEnd());
}
