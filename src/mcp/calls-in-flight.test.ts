import { describe, expect, it, onTestFinished } from 'vitest';
import {
  type CallInFlight,
  type CallsInFlight,
  type CallsInFlightOptions,
  createCallsInFlight,
} from './calls-in-flight.ts';
import { createSharedStores, settle, until } from './test-engine.contract.ts';

async function createCalls(options: Partial<CallsInFlightOptions> = {}): Promise<CallsInFlight> {
  const calls = await createCallsInFlight({
    bus: createSharedStores().bus,
    streamAfterMs: 1000,
    timeoutMs: 5000,
    now: Date.now,
    ...options,
  });
  onTestFinished(() => calls.close());
  return calls;
}

interface SeenCall extends CallInFlight {
  readonly seen: string[];
  /** Told to the table, as a call does when it has finished. */
  forget: () => void;
}

function addCall(calls: CallsInFlight, parts: Partial<CallInFlight> = {}): SeenCall {
  const seen: string[] = [];
  const call: SeenCall = {
    scope: 's',
    id: 1,
    startedAt: 0,
    upgrade: () => void seen.push('upgrade'),
    cancel: (reason) => {
      seen.push(reason);
      call.forget();
    },
    ...parts,
    seen,
    forget: () => {},
  };
  call.forget = calls.add(call);
  return call;
}

describe('calls in flight', () => {
  it('become streams when they take long and are cancelled when they take too long', async () => {
    let now = 0;
    const calls = await createCalls({ now: () => now });
    const old = addCall(calls, { startedAt: 0 });
    const young = addCall(calls, { id: 2, startedAt: 900 });
    now = 1000;
    await until(() => old.seen.length > 0, 'the upgrade');
    expect(young.seen).toEqual([]);
    now = 5000;
    await until(() => old.seen.includes('timeout'), 'the time-out');
    expect(young.seen).not.toContain('timeout');
    expect(calls.count).toBe(1);
  });

  it('are never cancelled for their age when the limit is 0', async () => {
    let now = 0;
    const calls = await createCalls({ now: () => now, timeoutMs: 0 });
    const old = addCall(calls);
    now = 1000;
    await until(() => old.seen.length > 0, 'the look at it');
    expect(old.seen).not.toContain('timeout');
  });

  it('are cancelled in time where they would become streams only later', async () => {
    let now = 0;
    const calls = await createCalls({ now: () => now, streamAfterMs: 9000 });
    const old = addCall(calls);
    now = 5000;
    await until(() => old.seen.length > 0, 'the time-out');
    expect(old.seen).toEqual(['timeout']);
  });

  it('are told apart by scope and by the kind of their id', async () => {
    const calls = await createCalls();
    const number = addCall(calls, { id: 1 });
    const text = addCall(calls, { id: '1' });
    const other = addCall(calls, { scope: 'other', id: 1 });
    await calls.cancel('s', '1');
    expect([number.seen, text.seen, other.seen]).toEqual([[], ['client'], []]);
  });

  it('with an id that is used again are told apart: the newest is the one that it names', async () => {
    const calls = await createCalls();
    const first = addCall(calls);
    const second = addCall(calls);
    first.forget();
    await calls.cancel('s', 1);
    expect([first.seen, second.seen]).toEqual([[], ['client']]);
  });

  it('of one session end with it, and no others', async () => {
    const calls = await createCalls();
    const mine = [addCall(calls, { id: 1 }), addCall(calls, { id: 2 })];
    const other = addCall(calls, { scope: 'other' });
    const modern = addCall(calls, { scope: undefined });
    await calls.endScope('s');
    await settle();
    expect(mine.map(({ seen }) => seen)).toEqual([['session_ended'], ['session_ended']]);
    expect([other.seen, modern.seen]).toEqual([[], []]);
  });

  it('are waited for, by everybody who waits', async () => {
    const calls = await createCalls();
    const call = addCall(calls);
    const startedAt = Date.now();
    const drained = Promise.all([calls.drain(4000), calls.drain(4000)]);
    call.forget();
    await drained;
    expect(Date.now() - startedAt).toBeLessThan(2000);
    expect(call.seen).toEqual([]);
    await calls.drain(4000);
  });

  it('that outlast the wait are cancelled', async () => {
    const calls = await createCalls();
    const call = addCall(calls);
    await calls.drain(5);
    expect(call.seen).toEqual(['stopping']);
    expect(calls.count).toBe(0);
  });
});
