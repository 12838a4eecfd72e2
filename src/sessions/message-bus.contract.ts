import { afterEach, describe, expect, it, vi } from 'vitest';
import type { MessageBus } from './message-bus.ts';

/** Opens a bus that tells `onError` what listeners throw. @returns one door per instance to the same bus */
export type MakeMessageBus = (options: {
  readonly onError: (error: unknown) => void;
}) => Promise<readonly [MessageBus, ...MessageBus[]]>;

interface Bench {
  readonly first: MessageBus;
  readonly last: MessageBus;
  readonly errors: unknown[];
}

/** What every `MessageBus` does. */
export function describeMessageBus(name: string, make: MakeMessageBus): void {
  describe(`${name} as a MessageBus`, () => {
    const opened: MessageBus[] = [];

    async function open(): Promise<Bench> {
      const errors: unknown[] = [];
      const doors = await make({ onError: (error) => errors.push(error) });
      opened.push(...doors);
      return { first: doors[0], last: doors.at(-1) ?? doors[0], errors };
    }

    afterEach(async () => {
      for (const bus of opened.splice(0)) await bus.close();
    });

    describeDelivery(open);
    describeFaults(open);
  });
}

function describeDelivery(open: () => Promise<Bench>): void {
  it("carries a message to every subscriber of its topic, the sender's own included, and to no other topic", async () => {
    const { first, last } = await open();
    const own: string[] = [];
    const twice: string[] = [];
    const far: string[] = [];
    const other: string[] = [];
    await first.subscribe('changes', (message) => own.push(message));
    for (let count = 0; count < 2; count += 1)
      await first.subscribe('changes', (message) => twice.push(message));
    await last.subscribe('changes', (message) => far.push(message));
    await last.subscribe('session.changes', (message) => other.push(message));
    await first.publish('changes', '{"é":1}');
    await last.publish('session.changes', 'end');
    await vi.waitFor(
      () => expect([own.length, twice.length, far.length, other.length]).toEqual([1, 2, 1, 1]),
      { timeout: 20_000 },
    );
    expect([...own, ...twice, ...far]).toEqual(Array.from({ length: 4 }, () => '{"é":1}'));
    expect(other).toEqual(['end']);
  });

  it('keeps the order of one sender that does not wait between messages', async () => {
    const { first, last } = await open();
    const received: string[] = [];
    await last.subscribe('a', (message) => received.push(message));
    const sent = Array.from({ length: 200 }, (_, index) => `${index}`);
    let gaps = 0;
    last.onGap(() => (gaps += 1));
    await Promise.all(sent.map((message) => first.publish('a', message)));
    await vi.waitFor(() => expect(received).toHaveLength(sent.length), { timeout: 20_000 });
    expect(received).toEqual(sent);
    expect(gaps).toBe(0);
  });

  it('never calls a listener inside the call that publishes', async () => {
    const { first } = await open();
    let isPublishing = false;
    const seen: boolean[] = [];
    await first.subscribe('a', () => seen.push(isPublishing));
    isPublishing = true;
    const published = first.publish('a', '1');
    isPublishing = false;
    await published;
    await vi.waitFor(() => expect(seen).toEqual([false]), { timeout: 20_000 });
  });

  it('delivers nothing once a subscription ended, which can be ended twice, and nothing from before it began', async () => {
    const { first } = await open();
    const ended: string[] = [];
    const late: string[] = [];
    const present: string[] = [];
    await first.subscribe('a', (message) => present.push(message));
    const end = await first.subscribe('a', (message) => ended.push(message));
    await end();
    await end();
    await first.publish('a', '1');
    await vi.waitFor(() => expect(present).toEqual(['1']), { timeout: 20_000 });
    await first.subscribe('a', (message) => late.push(message));
    await first.publish('a', '2');
    await vi.waitFor(() => expect(late).toEqual(['2']), { timeout: 20_000 });
    expect(ended).toEqual([]);
    expect(present).toEqual(['1', '2']);
  });

  it('delivers nothing more to a listener that ends its subscription while messages wait for it', async () => {
    const { first } = await open();
    const received: string[] = [];
    const present: string[] = [];
    const end = await first.subscribe('a', (message) => {
      received.push(message);
      void end();
    });
    await first.subscribe('a', (message) => present.push(message));
    await Promise.all(['1', '2', '3'].map((message) => first.publish('a', message)));
    await vi.waitFor(() => expect(present).toEqual(['1', '2', '3']), { timeout: 20_000 });
    expect(received).toEqual(['1']);
  });

  it('lets a listener publish, subscribe and end its own subscription', async () => {
    const { first } = await open();
    const received: string[] = [];
    const nested: string[] = [];
    const end = await first.subscribe('a', (message) => {
      received.push(message);
      void end();
      void first.subscribe('b', (inner) => nested.push(inner)).then(() => first.publish('b', 'from a'));
    });
    await first.publish('a', '1');
    await vi.waitFor(() => expect(nested).toEqual(['from a']), { timeout: 20_000 });
    await first.publish('a', '2');
    await first.publish('b', 'last');
    await vi.waitFor(() => expect(nested).toEqual(['from a', 'last']), { timeout: 20_000 });
    expect(received).toEqual(['1']);
  });
}

function describeFaults(open: () => Promise<Bench>): void {
  it('tells of a listener that throws or rejects, and spares the sender, the others and the next message', async () => {
    const { first, errors } = await open();
    const received: string[] = [];
    await first.subscribe('a', (message) => {
      throw new Error(`thrown at ${message}`);
    });
    // The lint rule keeps such a listener out of our code, the type does not keep it out of others'.
    // oxlint-disable-next-line typescript/no-misused-promises
    await first.subscribe('a', async (message) => {
      throw new Error(`rejected at ${message}`);
    });
    await first.subscribe('a', (message) => received.push(message));
    await first.publish('a', '1');
    await first.publish('a', '2');
    await vi.waitFor(() => expect(received).toEqual(['1', '2']), { timeout: 20_000 });
    await vi.waitFor(() => expect(errors).toHaveLength(4), { timeout: 20_000 });
    const texts = errors.map((error) => (error instanceof Error ? error.message : '')).toSorted();
    expect(texts).toEqual(['rejected at 1', 'rejected at 2', 'thrown at 1', 'thrown at 2']);
  });

  it('carries a message of 1 MiB and refuses a longer one, counted in bytes', async () => {
    const { first } = await open();
    const lengths: number[] = [];
    await first.subscribe('a', (message) => lengths.push(message.length));
    await first.publish('a', 'é'.repeat(512 * 1024));
    await expect(first.publish('a', `${'é'.repeat(512 * 1024)}x`)).rejects.toThrow(RangeError);
    await vi.waitFor(() => expect(lengths).toEqual([512 * 1024]), { timeout: 20_000 });
  });

  it('answers check until it is closed, can be closed twice, and refuses to carry afterwards', async () => {
    const { first } = await open();
    const received: string[] = [];
    await first.subscribe('a', (message) => received.push(message));
    await first.check();
    await first.close();
    await first.close();
    await expect(first.check()).rejects.toThrow();
    await expect(first.publish('a', '1')).rejects.toThrow();
    await expect(first.subscribe('a', () => {})).rejects.toThrow();
    expect(received).toEqual([]);
  });
}
