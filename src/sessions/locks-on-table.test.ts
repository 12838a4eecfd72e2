import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { UpstreamError } from '../errors.ts';
import { createLocks } from './locks-on-table.ts';
import type { HeldLock, LockTable } from './locks.ts';
import { createMemoryLockTable } from './memory-lock-table.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] });
});

afterEach(() => {
  vi.useRealTimers();
});

const away = (): Promise<never> => Promise.reject(new UpstreamError('redis', 'away'));

/** Work that goes on until the test lets it end. */
function hold(table: Partial<LockTable>): {
  lock: Promise<HeldLock>;
  end: () => void;
  done: Promise<unknown>;
} {
  const locks = createLocks({ ...createMemoryLockTable(), ...table }, { now: Date.now });
  let end = (): void => undefined;
  let done: Promise<unknown> = Promise.resolve();
  const lock = new Promise<HeldLock>((resolve) => {
    done = locks.withLock('x', { ttlMs: 3000 }, (held) => {
      resolve(held);
      return new Promise<void>((settle) => (end = settle));
    });
  });
  return { lock, end: () => end(), done };
}

test('a holder is told at the next renewal that somebody else has its lock', async () => {
  const { lock, end, done } = hold({ renew: async () => false });
  const { signal } = await lock;
  await vi.advanceTimersByTimeAsync(999);
  expect(signal.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(signal.aborted).toBe(true);
  end();
  await done;
});

test('a holder that cannot renew is told when its lock runs out, and not before', async () => {
  const { lock, end, done } = hold({ renew: away });
  const { signal } = await lock;
  await vi.advanceTimersByTimeAsync(2999);
  expect(signal.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(signal.aborted).toBe(true);
  end();
  await done;
});

test('one renewal that comes through in time keeps the lock', async () => {
  let isAway = true;
  const { lock, end, done } = hold({ renew: () => (isAway ? away() : Promise.resolve(true)) });
  const { signal } = await lock;
  await vi.advanceTimersByTimeAsync(1500);
  isAway = false;
  await vi.advanceTimersByTimeAsync(600);
  isAway = true;
  await vi.advanceTimersByTimeAsync(2800);
  expect(signal.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(200);
  expect(signal.aborted).toBe(true);
  end();
  await done;
});

test('a renewal that hangs does not keep a holder in the belief that it holds the lock', async () => {
  const { lock, end, done } = hold({ renew: () => new Promise(() => undefined) });
  const { signal } = await lock;
  await vi.advanceTimersByTimeAsync(3000);
  expect(signal.aborted).toBe(true);
  end();
  await done;
});

test('nothing runs when the table cannot be asked, and a lock that it took all the same is given back', async () => {
  const released: string[] = [];
  const locks = createLocks({
    ...createMemoryLockTable(),
    take: away,
    release: async (name) => void released.push(name),
  });
  await expect(locks.withLock('x', { ttlMs: 3000 }, async () => 'ran')).rejects.toThrow(UpstreamError);
  expect(released).toEqual(['x']);
});

test('who waits can be called off, and no timers are left when all is over', async () => {
  const table = createMemoryLockTable();
  const locks = createLocks(table, { now: Date.now });
  await table.take('x', 'other', 60_000);
  const calling = new AbortController();
  const waiting = locks.withLock(
    'x',
    { ttlMs: 3000, waitMs: 50_000, signal: calling.signal },
    async () => 'ran',
  );
  calling.abort(new Error('never mind'));
  await expect(waiting).rejects.toThrow('never mind');
  await table.release('x', 'other');
  expect(await locks.withLock('x', { ttlMs: 3000 }, async () => 'ran')).toEqual({
    kind: 'done',
    value: 'ran',
  });
  expect(vi.getTimerCount()).toBe(0);
});

test('a time to live that no renewal could keep is refused', async () => {
  const locks = createLocks(createMemoryLockTable());
  for (const ttlMs of [0, 99, Number.NaN, Number.POSITIVE_INFINITY])
    await expect(locks.withLock('x', { ttlMs }, async () => 'ran')).rejects.toThrow(RangeError);
});
