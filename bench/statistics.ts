/** Small sums over samples. */
import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';

/** The middle value, or the mean of the two middle ones; `NaN` of nothing. */
export function toMedian(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** As many digits as a figure deserves. */
export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** CPU time of the whole machine so far, in ticks; `undefined` where it cannot be known. */
export async function loadMachineTicks(): Promise<{ busy: number; total: number } | undefined> {
  try {
    const [line = ''] = (await readFile('/proc/stat', 'utf8')).split('\n', 1);
    // user, nice, system, idle, iowait, irq, softirq, steal; the guest columns after them are counted in user.
    const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
    const total = ticks.reduce((sum, value) => sum + value, 0);
    return { total, busy: total - (ticks[3] ?? 0) - (ticks[4] ?? 0) };
  } catch {
    return undefined;
  }
}

/** How many processors the machine shows. */
export const processorCount: number = cpus().length;
