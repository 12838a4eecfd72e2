import { setTimeout as sleep } from 'node:timers/promises';
import { UpstreamError } from '../errors.ts';

/** Between two attempts. Each attempt waits for itself, too. */
const repeatMs = 50;

/**
 * Repeats what may be repeated for as long as a service behind it is away.
 *
 * @param waitMs after which no attempt begins
 * @throws UpstreamError of the last attempt; anything else at once
 */
export async function repeatWhileAway<Value>(run: () => Promise<Value>, waitMs: number): Promise<Value> {
  const until = performance.now() + waitMs;
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof UpstreamError) || performance.now() >= until) throw error;
    }
    await sleep(repeatMs);
  }
}
