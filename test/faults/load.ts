/** A bounded load on the fleet: each caller keeps a few calls under way until it is told to stop. */
import { randomUUID } from 'node:crypto';
import type { Caller } from './caller.ts';
import { endCall, type EndedCall } from './tally.ts';

/** Events that each stream brings. */
export const stepsOfStream = 12;
const stepMs = 30;
const workMs = 100;
/** Between calls of one lane; a caller whose calls fail at once must not spin. */
const pauseMs = 30;
/** Most calls of one load, whatever the time that it takes. */
const maxCalls = 3000;

/** A load under way. */
export interface Load {
  readonly ended: readonly EndedCall[];
  /** Ends it when the calls that are under way have ended. */
  stop(): Promise<readonly EndedCall[]>;
}

/** Starts calling: each caller keeps one call of each kind under way. @param file of the ledger */
export function startLoad(callers: readonly Caller[], file: string): Load {
  const ended: EndedCall[] = [];
  let isStopping = false;
  let started = 0;
  const runLane = async (caller: Caller, name: Caller['calls'][number]): Promise<void> => {
    while (!isStopping && started < maxCalls) {
      started += 1;
      ended.push(await callOnce(caller, name, file));
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  const lanes = callers.flatMap((caller) => caller.calls.map((name) => runLane(caller, name)));
  return {
    ended,
    stop: async () => {
      isStopping = true;
      await Promise.all(lanes);
      return ended;
    },
  };
}

/** One call of a name that nobody has used. Never rejects. */
export function callOnce(caller: Caller, name: Caller['calls'][number], file: string): Promise<EndedCall> {
  const call = randomUUID();
  const more = { record: { forMs: workMs }, stream: { to: stepsOfStream, everyMs: stepMs }, ask: {} }[name];
  return endCall({ call, caller: caller.name, name }, (onStep) =>
    caller.call({ name, args: { file, call, ...more }, onStep }),
  );
}
