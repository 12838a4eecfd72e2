/** The parts of `process` that stopping needs. */
export interface SignalSource {
  on(signal: 'SIGTERM' | 'SIGINT', listener: () => void): unknown;
}

/** What to stop, and how. */
export interface StopOptions {
  readonly signals: SignalSource;
  readonly close: () => Promise<void>;
  /** Past this many milliseconds the wait for `close` ends. */
  readonly limitMs: number;
  /** Called at once on a second signal, with the shell's code for that signal. */
  readonly exit: (code: number) => void;
}

/** How a stop ended. */
export type Stopped = 'closed' | 'too_late';

const signalNumbers = { SIGINT: 2, SIGTERM: 15 } as const;

/**
 * Waits for the first SIGTERM or SIGINT, then closes within a limit. A second signal does not wait.
 *
 * @throws what `close` throws
 */
export async function stopOnSignals(options: StopOptions): Promise<Stopped> {
  await new Promise<void>((resolve) => {
    let isStopping = false;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      options.signals.on(signal, () => {
        if (isStopping) options.exit(128 + signalNumbers[signal]);
        isStopping = true;
        resolve();
      });
    }
  });
  return closeWithin(options.close, options.limitMs);
}

/** Closes, and stops waiting for it past a limit. */
export async function closeWithin(close: () => Promise<void>, limitMs: number): Promise<Stopped> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<Stopped>((resolve) => {
    timer = setTimeout(resolve, limitMs, 'too_late');
  });
  try {
    return await Promise.race([close().then((): Stopped => 'closed'), limit]);
  } finally {
    clearTimeout(timer);
  }
}
