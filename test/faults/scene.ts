/** What the fault tests run on: a fleet of three on a Redis, callers and observers of every kind, and their tallies. */
import { writeFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Fleet, startFleet } from '../e2e/fleet.ts';
import { createFolder } from '../e2e/mooring-process.ts';
import { callModern } from '../e2e/wire.ts';
import {
  type Caller,
  connectFirstSdk,
  connectRawLegacy,
  connectRawModern,
  connectSdk,
  type Sight,
} from './caller.ts';
import { observeLegacy, observeModern, type Observer } from './observer.ts';
import { callOnce, type Load, startLoad, stepsOfStream } from './load.ts';
import { type EndedCall, renderTally, type Tally, toTally } from './tally.ts';

/** A call that fails tells so within this time. */
export const failWithinMs = 10_000;
/** After a fault, every caller's every call succeeds again within this time. */
export const recoverWithinMs = 5_000;
/** Calls of every caller that succeed before a fault begins. */
const callsBefore = 2;
/** How long a test waits for something that the load must show. */
const noticeWithinMs = 15_000;
const lookMs = 20;

/** A fleet and the ledger of what ran. */
export interface Scene {
  readonly fleet: Fleet;
  /** The ledger: a file with the call of each run. */
  readonly file: string;
  /** Loads the fleet with callers of every kind while something happens to it. */
  underLoad(title: string, fault: (load: Load) => Promise<void>, options?: LoadOptions): Promise<Outcome>;
  /** What all calls came to. */
  readonly lines: readonly string[];
  stop(): Promise<void>;
}

/** How a load ends. */
export interface LoadOptions {
  /** Sessions end with the fault: new callers are asked whether all works again. Default no */
  readonly isStartingOver?: boolean;
}

/** What a fault came to. */
export interface Outcome {
  readonly tally: Tally;
  /** Legacy sessions that a client opened, beyond one for each. */
  readonly initializedAgain: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** Answers to questions that the balancer could not deliver. */
  readonly undeliveredAnswers: number;
  /** From the end of the fault until every call of every caller had succeeded. */
  readonly recoveredInMs: number;
  /** Observers who did not hear in time of a change that was made after the fault. */
  readonly deaf: readonly string[];
  /** Events that an observer was brought more than once, though it had said that it had them. */
  readonly repeated: readonly string[];
}

/** Starts a fleet on a Redis, which stays the caller's. */
export async function startScene(redisUrl: string): Promise<Scene> {
  const folder = createFolder();
  const file = join(folder, 'ledger');
  writeFileSync(file, '');
  const fleet = await startFleet({
    redisUrl,
    module: 'test/faults/ledger-server.mjs',
    environment: { SSE_RETRY_MS: '50' },
  });
  const all: EndedCall[] = [];
  const lines: string[] = [];
  let allLost = 0;
  return {
    fleet,
    file,
    lines,
    underLoad: async (title, fault, { isStartingOver = false } = {}) => {
      const sight: Sight = { initialized: 0, undeliveredAnswers: 0, statuses: new Map() };
      const callers = await connectAll(fleet, sight);
      // Of a session that ends with the fault nothing is to be heard any more.
      const observers = isStartingOver ? [] : [await observeLegacy(fleet), await observeModern(fleet)];
      const opened = sight.initialized;
      const load = startLoad(callers, file);
      const extra: EndedCall[] = [];
      let recoveredInMs: number;
      let deaf: readonly string[] = [];
      let newcomers: readonly Caller[] = [];
      try {
        await waitFor(() => callers.every(({ name }) => countSucceeded(load, name) >= callsBefore));
        await fault(load);
        const endedAt = performance.now();
        if (isStartingOver)
          newcomers = await connectAll(fleet, { initialized: 0, undeliveredAnswers: 0, statuses: new Map() });
        await recover(isStartingOver ? newcomers : callers, file, extra);
        recoveredInMs = Math.round(performance.now() - endedAt);
        deaf = await touch(fleet, observers);
      } finally {
        await load.stop();
        await Promise.all([...callers, ...newcomers, ...observers].map((each) => each.close()));
        const ended = [...load.ended, ...extra];
        all.push(...ended);
        const lost = countLost(sight);
        allLost += lost;
        lines.push(renderTally(title, toTally(ended, file, stepsOfStream), lost));
      }
      return {
        tally: toTally([...load.ended, ...extra], file, stepsOfStream),
        initializedAgain: sight.initialized - opened,
        statuses: Object.fromEntries(sight.statuses),
        undeliveredAnswers: sight.undeliveredAnswers,
        recoveredInMs,
        deaf,
        repeated: observers.flatMap(({ repeated }) => repeated),
      };
    },
    stop: async () => {
      lines.push(renderTally('in all', toTally(all, file, stepsOfStream), allLost));
      await fleet.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Waits until the load shows something. @throws Error when it does not in time */
export async function waitFor(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const until = performance.now() + noticeWithinMs;
  while (!(await isSo())) {
    if (performance.now() > until) throw new Error(`not so within ${noticeWithinMs} ms: ${isSo.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
}

/** Changes what is observed. @returns the names of those who do not hear of it in time */
async function touch(fleet: Fleet, observers: readonly Observer[]): Promise<readonly string[]> {
  const touchedAt = performance.now();
  await callModern(fleet, 'touch');
  const listDeaf = (): readonly string[] =>
    observers.filter(({ heardAt }) => heardAt < touchedAt).map(({ name }) => name);
  await waitFor(() => listDeaf().length === 0).catch(() => undefined);
  return listDeaf();
}

async function connectAll(fleet: Fleet, sight: Sight): Promise<readonly Caller[]> {
  return Promise.all([
    connectSdk(fleet, 'legacy', sight),
    connectSdk(fleet, 'modern', sight),
    connectFirstSdk(fleet, sight),
    connectRawLegacy(fleet, sight),
    connectRawLegacy(fleet, sight, { cutAfter: 3 }),
    Promise.resolve(connectRawModern(fleet, sight)),
  ]);
}

/** Replies that tell a client that its session or its key is unknown. */
function countLost({ statuses }: Sight): number {
  return (statuses.get(404) ?? 0) + (statuses.get(401) ?? 0);
}

function countSucceeded({ ended }: Load, name: string): number {
  return ended.filter(({ caller, failure }) => caller === name && failure === undefined).length;
}

/** Each caller repeats each of its calls until it succeeds. */
async function recover(callers: readonly Caller[], file: string, ended: EndedCall[]): Promise<void> {
  const until = performance.now() + noticeWithinMs;
  const succeed = async (caller: Caller, name: Caller['calls'][number]): Promise<void> => {
    for (;;) {
      const call = await callOnce(caller, name, file);
      ended.push(call);
      if (call.failure === undefined) return;
      if (performance.now() > until) throw new Error(`${caller.name}: ${name} stays ${call.failure}`);
      await new Promise((resolve) => setTimeout(resolve, lookMs));
    }
  };
  await Promise.all(callers.flatMap((caller) => caller.calls.map((name) => succeed(caller, name))));
}
