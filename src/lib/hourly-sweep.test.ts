import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { startHourlySweep } from './hourly-sweep.ts';

const hourMs = 3_600_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const fail = (error: unknown): void => expect.fail(String(error));

it('does nothing before the first hour is over, then each step until it finds nothing', async () => {
  const left = { one: 2, two: 1 };
  const taken: string[] = [];
  const take = (name: 'one' | 'two') => async (): Promise<number> => {
    taken.push(name);
    left[name] -= 1;
    return left[name] + 1;
  };
  const sweep = startHourlySweep([take('one'), take('two')], fail);
  vi.advanceTimersByTime(hourMs - 1);
  expect(taken).toEqual([]);
  vi.advanceTimersByTime(1);
  await setImmediate();
  expect(taken).toEqual(['one', 'one', 'one', 'two', 'two']);
  await sweep.close();
});

it('leaves what a failure kept it from to the next hour', async () => {
  const errors: unknown[] = [];
  const failure = new Error('the disk is gone');
  const step = vi.fn<() => Promise<number>>().mockRejectedValueOnce(failure).mockResolvedValue(0);
  const next = vi.fn<() => Promise<number>>().mockResolvedValue(0);
  const sweep = startHourlySweep([step, next], (error) => errors.push(error));
  vi.advanceTimersByTime(hourMs);
  await setImmediate();
  expect([errors, next.mock.calls.length]).toEqual([[failure], 0]);
  vi.advanceTimersByTime(hourMs);
  await setImmediate();
  expect([errors, next.mock.calls.length]).toEqual([[failure], 1]);
  await sweep.close();
});

it('sweeps once at a time, however long it takes', async () => {
  const step = vi.fn<() => Promise<number>>(() => new Promise(() => undefined));
  startHourlySweep([step], fail);
  vi.advanceTimersByTime(3 * hourMs);
  expect(step).toHaveBeenCalledOnce();
});

it('is closed when what is under way is over, and begins nothing more', async () => {
  let finish = (_count: number): void => undefined;
  const step = vi.fn<() => Promise<number>>(
    () =>
      new Promise((resolve) => {
        finish = resolve;
      }),
  );
  const next = vi.fn<() => Promise<number>>().mockResolvedValue(0);
  const sweep = startHourlySweep([step, next], fail);
  vi.advanceTimersByTime(hourMs);
  const closed = vi.fn<() => void>();
  const closing = sweep.close().then(closed);
  await setImmediate();
  expect(closed).not.toHaveBeenCalled();
  finish(1000);
  await closing;
  vi.advanceTimersByTime(2 * hourMs);
  expect([step.mock.calls.length, next.mock.calls.length]).toEqual([1, 0]);
});
