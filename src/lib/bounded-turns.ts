/** Runs work, so much of it at once; what comes meanwhile waits, the oldest first. @returns undefined when too much waits */
export type BoundedTurns = <Value>(work: () => Promise<Value>) => Promise<Value> | undefined;

/** For work that is dear in memory or threads: more than the bounds is refused, not kept. */
export function createBoundedTurns({
  maxRunning,
  maxWaiting,
}: {
  readonly maxRunning: number;
  readonly maxWaiting: number;
}): BoundedTurns {
  let running = 0;
  const waiting: (() => void)[] = [];

  const run = async <Value>(turn: Promise<void> | undefined, work: () => Promise<Value>): Promise<Value> => {
    await turn;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      // The turn is handed on: nobody can come between.
      if (next === undefined) running -= 1;
      else next();
    }
  };

  return (work) => {
    if (running < maxRunning) {
      running += 1;
      return run(undefined, work);
    }
    if (waiting.length >= maxWaiting) return undefined;
    return run(new Promise<void>((resolve) => waiting.push(resolve)), work);
  };
}
