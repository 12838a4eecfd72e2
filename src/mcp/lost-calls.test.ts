import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createMemoryEventLog } from '../sessions/memory-event-log.ts';
import type { EventLog } from '../sessions/event-log.ts';
import { renderCallStreamId } from './call-stream-id.ts';
import { createLostCalls, type LostCalls } from './lost-calls.ts';

const sessionId = 'session';
const alive = new Set<string>();
const quiet = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  isEnabled: () => false,
  flush: async () => {},
};
let events: EventLog;
let lostCalls: LostCalls;
let pumps = 0;

beforeEach(() => {
  vi.useFakeTimers();
  alive.clear();
  pumps = 0;
  events = createMemoryEventLog();
  lostCalls = createLostCalls({
    instanceId: 'here',
    events,
    instances: { isAlive: async (id) => alive.has(id) },
    logger: {
      ...quiet,
      child: () => {
        throw new Error('not used');
      },
      error: (_event, _fields, error) => {
        throw error;
      },
    },
  });
});
afterEach(() => {
  lostCalls.close();
  vi.useRealTimers();
});

/** A stream that says one thing, and what it holds after a look. */
async function watchCall(
  instanceId: string,
  ids: readonly (string | number)[],
): Promise<() => Promise<unknown[]>> {
  const streamId = renderCallStreamId({ instanceId, ids });
  const first = (await events.append(sessionId, streamId, '')) ?? '';
  lostCalls.watch({ sessionId, streamId, tail: { pump: () => (pumps += 1) } });
  return async () => {
    await vi.advanceTimersByTimeAsync(1000);
    const slice = await events.read(sessionId, first, 10);
    return slice.kind === 'events' ? slice.events.map(({ data }) => JSON.parse(data) as unknown) : [];
  };
}

describe('a call that a client came back for', () => {
  it('is told when its instance is gone, under its own id, once', async () => {
    const look = await watchCall('gone', [7]);
    const lost = { id: 7, error: { code: -32603, data: { reason: 'instance_lost' } } };
    expect(await look()).toMatchObject([lost]);
    expect(await look()).toHaveLength(1);
    expect(pumps).toBeGreaterThan(0);
  });

  it('is told for each request of a batch', async () => {
    const look = await watchCall('gone', [1, 'two']);
    expect(await look()).toMatchObject([{ id: 1 }, { id: 'two' }]);
  });

  it('goes on while its instance lives, and is read without having been woken', async () => {
    alive.add('there');
    const look = await watchCall('there', [1]);
    expect(await look()).toEqual([]);
    expect(pumps).toBe(1);
    alive.delete('there');
    expect(await look()).toMatchObject([{ id: 1, error: {} }]);
  });

  it('keeps a result that was stored before its instance went', async () => {
    const streamId = renderCallStreamId({ instanceId: 'gone', ids: [1] });
    const first = (await events.append(sessionId, streamId, '')) ?? '';
    await events.append(sessionId, streamId, '{"result":{}}', { isTerminal: true });
    lostCalls.watch({ sessionId, streamId, tail: { pump: () => {} } });
    await vi.advanceTimersByTimeAsync(1000);
    expect(await events.read(sessionId, first, 10)).toMatchObject({ events: [{ data: '{"result":{}}' }] });
  });

  it('of this very instance is never lost', async () => {
    const look = await watchCall('here', [1]);
    expect(await look()).toEqual([]);
  });
});
