import { describe, expect, it, vi } from 'vitest';
import { createMemoryMessageBus } from './memory-message-bus.ts';
import { describeMessageBus } from './message-bus.contract.ts';

describeMessageBus('a memory message bus', async (options) => [createMemoryMessageBus(options)]);

describe('a memory message bus', () => {
  it("drops what exceeds a subscriber's queue, says how much, and carries on", async () => {
    const errors: unknown[] = [];
    const bus = createMemoryMessageBus({ onError: (error) => errors.push(error), maxQueuedPerSubscriber: 2 });
    const received: string[] = [];
    let gaps = 0;
    bus.onGap(() => (gaps += 1));
    const stop = bus.onGap(() => expect.unreachable());
    stop();
    await bus.subscribe('a', (message) => received.push(message));
    for (const message of ['1', '2', '3', '4']) void bus.publish('a', message);
    await vi.waitFor(() => expect(received).toEqual(['1', '2']));
    expect(errors).toEqual([new RangeError('2 messages on a were dropped: too many were waiting.')]);
    await bus.publish('a', '5');
    await vi.waitFor(() => expect(received).toEqual(['1', '2', '5']));
    expect(errors).toHaveLength(1);
    expect(gaps).toBe(1);
  });

  it('refuses a subscription past its bound and takes one again when another ended', async () => {
    const bus = createMemoryMessageBus({ onError: () => {}, maxSubscriptions: 1 });
    const end = await bus.subscribe('a', () => {});
    await expect(bus.subscribe('a', () => {})).rejects.toThrow(RangeError);
    await end();
    await bus.subscribe('b', () => {});
  });

  it('lets listeners that publish to each other without end keep nobody from the event loop', async () => {
    const bus = createMemoryMessageBus({ onError: () => {} });
    let rounds = 0;
    await bus.subscribe('a', (message) => {
      rounds += 1;
      void bus.publish('a', message);
    });
    await bus.publish('a', '1');
    await vi.waitFor(() => expect(rounds).toBeGreaterThan(10));
    await bus.close();
  });
});
