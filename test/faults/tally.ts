/** What became of every call: told by the callers on one side, by the tools' own traces on the other. */
import { readFileSync } from 'node:fs';
import type { CallName } from './caller.ts';
import { toFailureKind } from './to-failure-kind.ts';

/** One call, ended. */
export interface EndedCall {
  readonly call: string;
  readonly caller: string;
  readonly name: CallName;
  /** `undefined` when it succeeded. */
  readonly failure: string | undefined;
  readonly tookMs: number;
  /** The progress that arrived, as it arrived. */
  readonly steps: readonly number[];
}

/** What the calls of a time came to. */
export interface Tally {
  readonly calls: number;
  readonly succeeded: number;
  /** By what the caller was told. */
  readonly failed: Readonly<Record<string, readonly string[]>>;
  /** Calls whose tool ran, whatever the caller was told. */
  readonly executed: number;
  /** Calls whose tool ran more than once. */
  readonly twice: readonly string[];
  /** Calls that failed although their tool ran. */
  readonly unanswered: readonly string[];
  /** Calls that succeeded without a run of their tool. */
  readonly unexecuted: readonly string[];
  /** Calls whose events came twice or out of order. */
  readonly disordered: readonly string[];
  /** Calls that brought fewer events than there were: with a gap, or, of those that succeeded, without the last. */
  readonly incomplete: readonly string[];
  readonly slowestFailureMs: number;
  readonly slowestSuccessMs: number;
}

/** Runs one call to its end. Never rejects. */
export async function endCall(
  about: Pick<EndedCall, 'call' | 'caller' | 'name'>,
  run: (onStep: (step: number) => void) => Promise<string>,
): Promise<EndedCall> {
  const startedAt = performance.now();
  const steps: number[] = [];
  let failure: string | undefined;
  try {
    const text = await run((step) => steps.push(step));
    // A tool that says what went wrong has answered.
    if (text !== about.call) failure = text === '' ? 'no text' : text.slice(0, 100);
  } catch (error) {
    failure = toFailureKind(error);
  }
  return { ...about, failure, steps, tookMs: Math.round(performance.now() - startedAt) };
}

/**
 * @param file where the tools leave their traces
 * @param stepsOfStream how many events a stream that succeeded must have brought
 */
export function toTally(ended: readonly EndedCall[], file: string, stepsOfStream: number): Tally {
  const runs = readRuns(file);
  const failed: Record<string, string[]> = {};
  for (const call of ended) {
    if (call.failure !== undefined) (failed[call.failure] ??= []).push(toShown(call));
  }
  const isDisordered = ({ steps }: EndedCall): boolean =>
    steps.some((step, index) => step <= (steps[index - 1] ?? 0));
  const isIncomplete = ({ name, steps, failure }: EndedCall): boolean =>
    steps.length < (name === 'stream' && failure === undefined ? stepsOfStream : Math.max(0, ...steps));
  const slowest = (calls: readonly EndedCall[]): number => Math.max(0, ...calls.map(({ tookMs }) => tookMs));
  return {
    calls: ended.length,
    succeeded: ended.filter(({ failure }) => failure === undefined).length,
    failed,
    executed: ended.filter(({ call }) => runs.has(call)).length,
    twice: ended.filter(({ call }) => (runs.get(call) ?? 0) > 1).map(toShown),
    unanswered: ended.filter(({ call, failure }) => failure !== undefined && runs.has(call)).map(toShown),
    unexecuted: ended.filter(({ call, failure }) => failure === undefined && !runs.has(call)).map(toShown),
    disordered: ended.filter(isDisordered).map(toShown),
    incomplete: ended.filter(isIncomplete).map(toShown),
    slowestFailureMs: slowest(ended.filter(({ failure }) => failure !== undefined)),
    slowestSuccessMs: slowest(ended.filter(({ failure }) => failure === undefined)),
  };
}

/** One line for people. @param lost replies that called a session or a key unknown */
export function renderTally(title: string, tally: Tally, lost: number): string {
  const failures = Object.entries(tally.failed).map(([kind, calls]) => `${calls.length} ${kind}`);
  const failed = tally.calls - tally.succeeded;
  return [
    `${title}:`,
    `${tally.calls} calls, ${tally.succeeded} succeeded, ${failed} failed`,
    ...(failures.length === 0 ? [] : [`(${failures.join(', ')})`]),
    `| executed ${tally.executed}, of those failed ${tally.unanswered.length}, twice ${tally.twice.length},`,
    `succeeded unexecuted ${tally.unexecuted.length} | events twice or out of order in ${tally.disordered.length},`,
    `missing in ${tally.incomplete.length} | sessions called unknown ${lost} times`,
    `| slowest failure ${tally.slowestFailureMs} ms, slowest success ${tally.slowestSuccessMs} ms`,
  ].join(' ');
}

function readRuns(file: string): ReadonlyMap<string, number> {
  const runs = new Map<string, number>();
  for (const call of readFileSync(file, 'utf8').split('\n')) {
    if (call !== '') runs.set(call, (runs.get(call) ?? 0) + 1);
  }
  return runs;
}

function toShown({ call, caller, name, failure, steps, tookMs }: EndedCall): string {
  return `${caller}: ${name} ${call}, ${failure ?? 'succeeded'} after ${tookMs} ms, steps ${steps.join(' ')}`;
}
