const intervalMs = 3_600_000;

/** What forgets, every hour, what has ended. */
export interface HourlySweep {
  /** Resolves when nothing is under way any more: what is swept may be closed then. */
  close(): Promise<void>;
}

/**
 * Sweeps until it is closed.
 *
 * @param steps each forgets a batch of one kind, and says how many that were; repeated until there is nothing left
 * @param onError told of a sweep that failed; what it left is for the next one
 */
export function startHourlySweep(
  steps: readonly (() => Promise<number>)[],
  onError: (error: unknown) => void,
): HourlySweep {
  let isClosed = false;
  let running: Promise<void> | undefined;
  const sweep = async (): Promise<void> => {
    for (const step of steps) while (!isClosed && (await step()) > 0);
  };
  const timer = setInterval(() => {
    running ??= sweep()
      .catch(onError)
      .finally(() => {
        running = undefined;
      });
  }, intervalMs);
  timer.unref();
  return {
    close: async () => {
      isClosed = true;
      clearInterval(timer);
      await running;
    },
  };
}
