import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UpstreamError } from '../errors.ts';
import {
  CallReply,
  createDurableStream,
  createPlainStream,
  type EventSink,
  type StreamEvent,
  toBatchReplies,
} from './call-reply.ts';
import { createSharedStores, settle, until } from './test-engine.contract.ts';

interface ListSink extends EventSink {
  readonly events: StreamEvent[];
  isOpen: boolean;
}

function createSink(): ListSink {
  const sink: ListSink = {
    events: [],
    isOpen: true,
    send: (event) => {
      if (sink.isOpen) sink.events.push(event);
      return sink.isOpen;
    },
    keepAlive: () => {},
    end: () => {
      sink.isOpen = false;
    },
    onClose: () => {},
  };
  return sink;
}

const dataOf = (sink: ListSink): string[] => sink.events.map(({ data }) => data);

describe('the answer to a call', () => {
  it('is one text when nothing was said before it, and no stream is made', async () => {
    let made = 0;
    const reply = new CallReply(() => {
      made += 1;
      return createPlainStream();
    });
    void reply.finish(404, 'text');
    expect(await reply.outcome).toMatchObject({ kind: 'json', status: 404, text: 'text' });
    expect(made).toBe(0);
  });

  it('becomes a stream with the first message, which is there when the connection comes', async () => {
    const reply = new CallReply(createPlainStream);
    reply.push('one');
    reply.push('two');
    void reply.finish(200, 'result');
    reply.push('too late');
    void reply.finish(200, 'again');
    const outcome = await reply.outcome;
    const sink = createSink();
    if (outcome.kind === 'stream') outcome.stream.attach(sink);
    expect(dataOf(sink)).toEqual(['one', 'two', 'result']);
    expect(sink.isOpen).toBe(false);
  });

  it('becomes a stream when it takes long, and stays one', async () => {
    const reply = new CallReply(createPlainStream);
    const stream = reply.upgrade();
    expect(reply.upgrade()).toBe(stream);
    const sink = createSink();
    stream.attach(sink);
    expect(await reply.outcome).toEqual({ kind: 'stream', stream });
    expect(sink.isOpen).toBe(true);
    void reply.finish(200, 'result');
    expect(dataOf(sink)).toEqual(['result']);
    expect(sink.isOpen).toBe(false);
  });

  it('says nothing after it was given as one text', async () => {
    const reply = new CallReply(() => {
      throw new Error('no stream');
    });
    void reply.finish(200, 'text');
    reply.push('too late');
    expect(await reply.outcome).toMatchObject({ text: 'text' });
  });
});

describe('the answers of a batch', () => {
  it('each go out exactly once, in an array or on a stream that ends with the last of them', async () => {
    type Step = { readonly part: number; readonly action: 'finish' | 'push' | 'upgrade' };
    const step: fc.Arbitrary<Step> = fc.record({
      part: fc.nat({ max: 4 }),
      action: fc.constantFrom('finish', 'push', 'upgrade'),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.array(step, { maxLength: 20 }),
        async (count, steps) => {
          const whole = new CallReply(createPlainStream);
          const parts = toBatchReplies(whole, count);
          const open = new Set(parts.keys());
          const pushed: string[] = [];
          const act = ({ part, action }: Step, index: number): void => {
            const reply = parts[part % count];
            if (action === 'upgrade' && open.size > 0) reply?.upgrade();
            if (action === 'push') {
              if (open.has(part % count)) pushed.push(`push ${index}`);
              reply?.push(`push ${index}`);
            }
            if (action === 'finish') {
              open.delete(part % count);
              void reply?.finish(200, JSON.stringify(part % count));
            }
          };
          steps.forEach(act);
          for (const part of Array.from(open)) act({ part, action: 'finish' }, -1);
          const outcome = await whole.outcome;
          const everyPart = Array.from({ length: count }, (_, index) => index);
          if (outcome.kind === 'json') {
            expect(pushed).toEqual([]);
            expect((JSON.parse(outcome.text) as number[]).toSorted((a, b) => a - b)).toEqual(everyPart);
            return;
          }
          const sink = createSink();
          outcome.stream.attach(sink);
          const sent = dataOf(sink);
          const responses = sent.filter((data) => !data.startsWith('push'));
          expect(responses.map(Number).toSorted((a, b) => a - b)).toEqual(everyPart);
          expect(sent.filter((data) => data.startsWith('push'))).toEqual(pushed);
          expect(sent.at(-1)).toBe(responses.at(-1));
          expect(sink.isOpen).toBe(false);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('a durable stream', () => {
  const create = (
    primeRetryMs: number | undefined = 7,
  ): ReturnType<typeof createDurableStream> & {
    read: () => Promise<string[]>;
  } => {
    const { events, bus } = createSharedStores();
    let first: string | undefined;
    const log = {
      read: events.read.bind(events),
      end: events.end.bind(events),
      close: events.close.bind(events),
      append: events.append.bind(events),
      appendAll: async (...given: Parameters<typeof events.appendAll>) => {
        const ids = await events.appendAll(...given);
        first ??= ids?.[0];
        return ids;
      },
    };
    const stream = createDurableStream({
      log,
      bus,
      sessionId: 's',
      streamId: 'c',
      primeRetryMs,
      onError: (error) => {
        throw error;
      },
    });
    const read = async (): Promise<string[]> => {
      const slice = first === undefined ? undefined : await events.read('s', first, 10_000);
      return slice?.kind === 'events' ? slice.events.map(({ data }) => data) : [];
    };
    return { ...stream, read };
  };

  it('stores before it writes, so that whatever a client saw can be resumed from', async () => {
    const stream = create();
    const sink = createSink();
    stream.attach(sink);
    stream.write('one');
    expect(sink.events).toEqual([]);
    void stream.finish('result');
    await until(() => !sink.isOpen, 'the end');
    expect(dataOf(sink)).toEqual(['', 'one', 'result']);
    expect(sink.events[0]).toMatchObject({ retryMs: 7 });
    expect(await stream.read()).toEqual(['one', 'result']);
  });

  it('goes on in the log after it was released, and not on the connection', async () => {
    const stream = create();
    const sink = createSink();
    stream.attach(sink);
    stream.write('one');
    stream.release(99);
    stream.write('two');
    void stream.finish('result');
    await until(async () => (await stream.read()).length === 3, 'the log');
    expect(dataOf(sink)).toEqual(['', 'one', '']);
    expect(sink.events.at(-1)).toEqual({ data: '', retryMs: 99 });
  });

  it('answers a client that is there even when the log is not', async () => {
    const { events, bus } = createSharedStores();
    const away = async (): Promise<never> => {
      throw new UpstreamError('log', 'away');
    };
    const errors: unknown[] = [];
    const stream = createDurableStream({
      log: { append: away, appendAll: away, read: away, end: away, close: () => events.close() },
      bus,
      sessionId: 's',
      streamId: 'c',
      primeRetryMs: undefined,
      onError: (error) => errors.push(error),
    });
    const sink = createSink();
    stream.attach(sink);
    stream.write('one');
    await until(() => sink.events.length === 1, 'the first');
    stream.write('two');
    await until(() => sink.events.length === 2, 'the second, which nobody tries to store');
    expect(errors).toHaveLength(1);
    void stream.finish('result');
    await until(() => !sink.isOpen, 'the end');
    expect(sink.events).toEqual([{ data: 'one' }, { data: 'two' }, { data: 'result' }]);
    expect(errors).toHaveLength(2);
  });

  it('goes to the log in one trip with what is said before the log is free', async () => {
    const { events, bus } = createSharedStores();
    const trips: number[] = [];
    const stream = createDurableStream({
      log: {
        append: events.append.bind(events),
        appendAll: (session, stream, texts, options) => {
          trips.push(texts.length);
          return events.appendAll(session, stream, texts, options);
        },
        read: events.read.bind(events),
        end: events.end.bind(events),
        close: () => events.close(),
      },
      bus,
      sessionId: 's',
      streamId: 'c',
      primeRetryMs: 7,
      onError: (error) => {
        throw error;
      },
    });
    const sink = createSink();
    stream.attach(sink);
    for (const text of ['one', 'two']) stream.write(text);
    await until(() => sink.events.length === 3, 'the first trip');
    void stream.finish('result');
    await until(() => !sink.isOpen, 'the end');
    expect(dataOf(sink)).toEqual(['', 'one', 'two', 'result']);
    expect(trips).toEqual([3, 1]);
  });

  it('keeps the connection of a call that says much at once', async () => {
    const stream = create();
    const said = Array.from({ length: 500 }, (_, index) => String(index));
    for (const text of said) stream.write(text);
    await stream.primed;
    const sink = createSink();
    stream.attach(sink);
    void stream.finish('result');
    await until(() => !sink.isOpen, 'the end');
    expect(dataOf(sink)).toEqual(['', ...said, 'result']);
  });

  it('is written whole to a connection that comes late', async () => {
    const stream = create();
    stream.write('one');
    void stream.finish('result');
    await settle();
    const sink = createSink();
    stream.attach(sink);
    expect(dataOf(sink)).toEqual(['', 'one', 'result']);
    expect(sink.isOpen).toBe(false);
  });

  it('holds no more than so much for a connection that never comes; the log has all of it', async () => {
    const stream = create();
    for (let count = 0; count < 500; count += 1) stream.write('x');
    void stream.finish('result');
    await until(async () => (await stream.read()).at(-1) === 'result', 'the log');
    const sink = createSink();
    stream.attach(sink);
    expect(sink.events.length).toBeLessThanOrEqual(100);
    expect(sink.isOpen).toBe(false);
  });
});
