import { describe, expect, it } from 'vitest';
import { describeEventLog } from './event-log.contract.ts';
import { createMemoryEventLog } from './memory-event-log.ts';

describeEventLog('a memory event log', async (limits) => ({
  doors: [createMemoryEventLog(limits)],
  openSession: async () => {},
}));

describe('a memory event log', () => {
  it('gives up the session that was longest without use when everything together is too large', async () => {
    const log = createMemoryEventLog({ maxBytes: 3000 });
    const a = (await log.append('a', 'p', 'x'.repeat(1000))) ?? '';
    const b = (await log.append('b', 'p', 'x'.repeat(1000))) ?? '';
    await log.read('a', a, 1);
    const c = (await log.append('c', 'p', 'x'.repeat(1000))) ?? '';
    expect((await log.read('b', b, 1)).kind).toBe('gap');
    expect((await log.read('a', a, 1)).kind).toBe('events');
    expect((await log.read('c', c, 1)).kind).toBe('events');
  });

  it('bounds the sessions that have streams', async () => {
    const log = createMemoryEventLog({ maxSessions: 2 });
    const ids = new Map<string, string>();
    for (const session of ['a', 'b', 'c']) ids.set(session, (await log.append(session, 'p', '1')) ?? '');
    expect((await log.read('a', ids.get('a') ?? '', 1)).kind).toBe('gap');
    expect((await log.read('c', ids.get('c') ?? '', 1)).kind).toBe('events');
  });

  it('forgets a session that nobody appends to or reads, exactly by the clock', async () => {
    let time = 1_800_000_000_000;
    const log = createMemoryEventLog({ idleTtlMs: 1000, now: () => time });
    const id = (await log.append('s', 'g', '1')) ?? '';
    time += 999;
    expect((await log.read('s', id, 1)).kind).toBe('events');
    time += 1000;
    expect((await log.read('s', id, 1)).kind).toBe('gap');
  });

  it('gives no position again after it gave up a session, even within one millisecond', async () => {
    const log = createMemoryEventLog({ maxSessions: 1, now: () => 1_800_000_000_000 });
    const old = (await log.append('s', 'g', 'old')) ?? '';
    await log.append('t', 'g', '1');
    await log.append('s', 'g', 'new');
    expect((await log.read('s', old, 1)).kind).toBe('gap');
  });

  it('recognises a bounded number of ended sessions, the latest ones', async () => {
    const log = createMemoryEventLog({ maxEndedSessions: 2 });
    for (let index = 0; index < 9; index += 1) await log.end(`s${index}`);
    expect(await log.append('s8', 'g', '1')).toBeUndefined();
    expect(await log.append('s7', 'g', '1')).toBeUndefined();
    expect(await log.append('s0', 'g', '1')).toBeDefined();
  });
});
