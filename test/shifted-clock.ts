import { afterEach, beforeEach, vi } from 'vitest';

/**
 * The clock of this process, which runs, put ahead by a test. Call it before what opens the parts: many of them take
 * `Date.now` when they are made.
 */
export function useShiftedClock(): { aheadMs: number } {
  const clock = { aheadMs: 0 };
  beforeEach(() => {
    const now = Date.now.bind(Date);
    clock.aheadMs = 0;
    vi.spyOn(Date, 'now').mockImplementation(() => now() + clock.aheadMs);
  });
  afterEach(() => {
    vi.mocked(Date.now).mockRestore();
  });
  return clock;
}
