/**
 * The order of measuring. A shared machine speeds up and slows down within seconds, so samples are short, every
 * case has one in each round, and each is compared with samples of the yardstick taken just before and after it.
 */
import { setTimeout } from 'node:timers/promises';
import type { BenchCase } from './cases.ts';
import { takeSample, type PreparedCase, type Sample } from './sampler.ts';

/** How many cases stand between two samples of the yardstick. */
const casesBetweenBare = 3;

/** Above this share of foreign CPU time a sample is taken again, while the run has time for it. */
export const noisyShare = 0.12;
const maxRetakingMs = 60_000;
const pauseBeforeRetakeMs = 200;
const minRounds = 3;

/** A sample and what it is in terms of the yardstick beside it. */
export interface RatedSample extends Sample {
  readonly rpsRatio: number;
  readonly cpuRatio: number;
}

/** What a run of rounds needs. */
export interface RoundsOptions {
  readonly rounds: number;
  readonly sampleMs: number;
  /** After this long no further round is begun, once `minRounds` are done. */
  readonly limitMs: number;
  readonly report: (line: string) => void;
  /** Told once of a case whose answers went wrong; it is not measured again. */
  readonly onFailure: (benchCase: BenchCase, error: unknown) => void;
}

/** @throws Error when the yardstick itself fails */
export async function runRounds(
  bare: PreparedCase,
  others: readonly PreparedCase[],
  options: RoundsOptions,
): Promise<ReadonlyMap<BenchCase, readonly RatedSample[]>> {
  const samples = new Map<BenchCase, RatedSample[]>(
    [bare, ...others].map(({ benchCase }) => [benchCase, []]),
  );
  const failed = new Set<PreparedCase>();
  const take = createQuietSampler(options.sampleMs);
  const takeBare = async (): Promise<Sample> => {
    const sample = await take(bare);
    samples.get(bare.benchCase)?.push({ ...sample, rpsRatio: 1, cpuRatio: 1 });
    return sample;
  };
  const startedAt = performance.now();
  for (let index = 0; index < options.rounds; index += 1) {
    if (index >= minRounds && performance.now() - startedAt > options.limitMs) {
      options.report(`time is up after ${index} rounds`);
      break;
    }
    options.report(`round ${index + 1} of ${options.rounds}`);
    // Every other round runs backwards, so that no case always follows the same neighbour.
    const order = (index % 2 === 0 ? others : others.toReversed()).filter((each) => !failed.has(each));
    let before = await takeBare();
    for (let start = 0; start < order.length; start += casesBetweenBare) {
      const taken: [PreparedCase, Sample][] = [];
      for (const each of order.slice(start, start + casesBetweenBare)) {
        try {
          taken.push([each, await take(each)]);
        } catch (error) {
          failed.add(each);
          options.onFailure(each.benchCase, error);
        }
      }
      const after = await takeBare();
      for (const [each, sample] of taken) samples.get(each.benchCase)?.push(rate(sample, before, after));
      before = after;
    }
  }
  return samples;
}

/** Takes samples again that other programs disturbed, until the time for that is used up. */
function createQuietSampler(sampleMs: number): (prepared: PreparedCase) => Promise<Sample> {
  let retakingMs = 0;
  return async (prepared) => {
    for (;;) {
      const sample = await takeSample(prepared, sampleMs);
      if ((sample.foreignShare ?? 0) <= noisyShare || retakingMs >= maxRetakingMs) return sample;
      retakingMs += sampleMs + pauseBeforeRetakeMs;
      await setTimeout(pauseBeforeRetakeMs);
    }
  };
}

function rate(sample: Sample, before: Sample, after: Sample): RatedSample {
  return {
    ...sample,
    rpsRatio: sample.rps / ((before.rps + after.rps) / 2),
    cpuRatio: sample.cpuMicros / ((before.cpuMicros + after.cpuMicros) / 2),
  };
}
