import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { parseStreamId, type EventLog, type LoggedEvent } from './event-log.ts';

/** What the suite asks of a maker. */
export interface EventLogLimits {
  readonly maxEventsPerStream: number;
  readonly maxStreamsPerSession: number;
  readonly maxBytesPerSession: number;
  readonly retainMs: number;
  /** The suite's clock; a maker that keeps its time elsewhere must still go by this one. */
  readonly now: () => number;
}

/** A log under test. */
export interface EventLogUnderTest {
  /** Doors to the same streams, one per instance; a single one where streams are not shared. */
  readonly doors: readonly [EventLog, ...EventLog[]];
  /** Does what it takes for a session to exist, where a log asks for that before it takes appends. */
  openSession(sessionId: string): Promise<void>;
}

/** Opens an empty log. */
export type MakeEventLog = (limits: EventLogLimits) => Promise<EventLogUnderTest>;

const retainMs = 5000;
const generous = { maxEventsPerStream: 1000, maxStreamsPerSession: 64, maxBytesPerSession: 4 * 1024 * 1024 };
const narrow = { maxEventsPerStream: 8, maxStreamsPerSession: 3, maxBytesPerSession: 2048 };

interface Bench {
  readonly first: EventLog;
  readonly last: EventLog;
  readonly doors: readonly EventLog[];
  advance(ms: number): void;
}

type Open = (limits?: Omit<EventLogLimits, 'now' | 'retainMs'>) => Promise<Bench>;

/** What every `EventLog` does. */
export function describeEventLog(name: string, make: MakeEventLog): void {
  describe(`${name} as an EventLog`, () => {
    const opened: EventLog[] = [];

    async function open(limits: Omit<EventLogLimits, 'now' | 'retainMs'> = generous): Promise<Bench> {
      let time = 1_800_000_000_000;
      const { doors, openSession } = await make({ ...limits, retainMs, now: () => time });
      opened.push(...doors);
      for (const sessionId of ['s', 't']) await openSession(sessionId);
      return {
        first: doors[0],
        last: doors.at(-1) ?? doors[0],
        doors,
        advance: (ms) => {
          time += ms;
        },
      };
    }

    afterEach(async () => {
      for (const log of opened.splice(0)) await log.close();
    });

    describeReading(open);
    describeEnds(open);
    describeBounds(open);
    describeModel(open);
  });
}

/** Appends where the log must accept. */
async function append(log: EventLog, streamId: string, data: string, isTerminal = false): Promise<string> {
  const id = await log.append('s', streamId, data, { isTerminal });
  if (id === undefined) throw new Error(`The log refused ${data || 'a priming event'} on ${streamId}.`);
  return id;
}

function describeReading(open: Open): void {
  it('stores several at once, in their order, as if one after the other', async () => {
    const { first, last } = await open();
    const priming = await append(first, 'p', '');
    const ids = await first.appendAll('s', 'p', ['one', 'two', 'three']);
    expect(ids).toHaveLength(3);
    expect(await last.read('s', priming, 10)).toEqual({
      kind: 'events',
      events: ['one', 'two', 'three'].map((data, index) => ({ id: ids?.[index], data })),
      isComplete: false,
    });
    expect(await last.read('s', ids?.[1] ?? '', 10)).toMatchObject({ events: [{ data: 'three' }] });
  });

  it('lets only the last of several be terminal, and takes none after it', async () => {
    const { first, last } = await open();
    const ids = await first.appendAll('s', 'p', ['one', 'result'], { isTerminal: true });
    expect(await last.read('s', ids?.[0] ?? '', 10)).toMatchObject({
      events: [{ data: 'result' }],
      isComplete: true,
    });
    expect(await last.appendAll('s', 'p', ['late', 'later'])).toBeUndefined();
  });

  it('gives back what followed a cursor on its own stream, in order, at every door', async () => {
    const { first, last } = await open();
    const priming = await append(first, 'p', '');
    const other = await append(first, 'q', 'other');
    const events: LoggedEvent[] = [];
    for (const data of ['1', '"é\n"', '3']) events.push({ id: await append(last, 'p', data), data });
    expect(await first.read('s', priming, 10)).toEqual({ kind: 'events', events, isComplete: false });
    expect(await last.read('s', events[1]?.id ?? '', 10)).toEqual({
      kind: 'events',
      events: events.slice(2),
      isComplete: false,
    });
    expect(await first.read('s', events[2]?.id ?? '', 10)).toEqual({
      kind: 'events',
      events: [],
      isComplete: false,
    });
    expect(await first.read('s', other, 10)).toEqual({ kind: 'events', events: [], isComplete: false });
  });

  it('names its stream in every id, underscores included', async () => {
    const { first } = await open();
    for (const streamId of ['g', 'a_b', '_', 'a_1']) {
      const id = await append(first, streamId, '1');
      expect(parseStreamId(id)).toBe(streamId);
      expect(id).toMatch(/^[\x21-\x7E]+$/);
      expect(await first.read('s', id, 10)).toEqual({ kind: 'events', events: [], isComplete: false });
    }
  });

  it('gives at most the events that were asked for and says complete only when none remain', async () => {
    const { first } = await open();
    const priming = await append(first, 'p', '');
    const one = await append(first, 'p', '1');
    const two = await append(first, 'p', '2', true);
    const [eventOne, eventTwo] = [
      { id: one, data: '1' },
      { id: two, data: '2' },
    ];
    expect(await first.read('s', priming, 1)).toEqual({
      kind: 'events',
      events: [eventOne],
      isComplete: false,
    });
    expect(await first.read('s', one, 1)).toEqual({ kind: 'events', events: [eventTwo], isComplete: true });
    expect(await first.read('s', priming, 9)).toEqual({
      kind: 'events',
      events: [eventOne, eventTwo],
      isComplete: true,
    });
    expect(await first.read('s', two, 9)).toEqual({ kind: 'events', events: [], isComplete: true });
  });

  it('tells a gap for every cursor that is not in the log', async () => {
    const { first } = await open();
    const id = await append(first, 'p', '1');
    const position = id.slice('p_'.length);
    const strangers = [
      '',
      '_',
      'p',
      'p_',
      'p_x',
      'p_-1',
      `p_ ${position}`,
      `p_0${position}`,
      `p_${position}0`,
      'p_1e3',
    ];
    for (const cursor of [...strangers, `q_${position}`, `${position}`, '__proto___1', `${id}_${position}`]) {
      expect(await first.read('s', cursor, 10)).toEqual({ kind: 'gap' });
    }
    expect(await first.read('t', id, 10)).toEqual({ kind: 'gap' });
    expect(await first.read('unknown', id, 10)).toEqual({ kind: 'gap' });
  });

  it('gives every one of many concurrent appends a place of its own', async () => {
    const { doors, first } = await open();
    const priming = await append(first, 'p', '');
    const texts = Array.from({ length: 60 }, (_, index) => `${index}`);
    const ids = await Promise.all(
      texts.map((text, index) => append(doors[index % doors.length] ?? first, 'p', text)),
    );
    expect(new Set(ids).size).toBe(texts.length);
    const slice = await first.read('s', priming, 100);
    const found = slice.kind === 'events' ? slice.events : [];
    expect(new Set(found.map(({ id, data }) => `${id} ${data}`))).toEqual(
      new Set(ids.map((id, index) => `${id} ${texts[index]}`)),
    );
  });
}

function describeEnds(open: Open): void {
  it('takes nothing after the terminal event, from any door', async () => {
    const { first, last } = await open();
    const priming = await append(first, 'p', '');
    const end = await append(first, 'p', 'end', true);
    expect(await first.append('s', 'p', 'late')).toBeUndefined();
    expect(await last.append('s', 'p', 'late', { isTerminal: true })).toBeUndefined();
    expect(await last.read('s', priming, 9)).toEqual({
      kind: 'events',
      events: [{ id: end, data: 'end' }],
      isComplete: true,
    });
  });

  it('lets exactly one of many concurrent terminal events end a stream', async () => {
    const { doors, first } = await open();
    await append(first, 'p', '');
    const ends = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        (doors[index % doors.length] ?? first).append('s', 'p', `${index}`, { isTerminal: true }),
      ),
    );
    expect(ends.filter((id) => id !== undefined)).toHaveLength(1);
  });

  it('forgets a complete stream exactly when its time is over, and no other', async () => {
    const { first, advance } = await open();
    const priming = await append(first, 'p', '');
    const standing = await append(first, 'g', '');
    await append(first, 'p', 'end', true);
    advance(retainMs - 1);
    expect((await first.read('s', priming, 9)).kind).toBe('events');
    advance(1);
    expect(await first.read('s', priming, 9)).toEqual({ kind: 'gap' });
    expect((await first.read('s', standing, 9)).kind).toBe('events');
  });

  it('forgets an ended session, takes nothing more for it on any stream, and leaves other sessions alone', async () => {
    const { first, last } = await open();
    const id = await append(first, 'p', '1');
    const other = await first.append('t', 'p', '1');
    await last.end('s');
    await last.end('s');
    expect(await first.read('s', id, 9)).toEqual({ kind: 'gap' });
    expect(await first.append('s', 'p', '2')).toBeUndefined();
    expect(await last.append('s', 'new', '2')).toBeUndefined();
    expect(await first.read('s', id, 9)).toEqual({ kind: 'gap' });
    expect((await first.read('t', other ?? '', 9)).kind).toBe('events');
    expect(await first.append('t', 'p', '2')).toBeDefined();
  });

  it('takes nothing for a session that ended before its first append', async () => {
    const { first } = await open();
    await first.end('s');
    expect(await first.append('s', 'p', '1')).toBeUndefined();
  });
}

function describeBounds(open: Open): void {
  it('keeps the newest events of a stream, at least as many as its bound, and tells a gap for what was dropped', async () => {
    const { first } = await open({ ...generous, maxEventsPerStream: 10 });
    const ids: string[] = [];
    // Far past the bound, for makers that trim in blocks.
    for (let index = 0; index < 310; index += 1) ids.push(await append(first, 'p', `${index}`));
    expect(await first.read('s', ids[0] ?? '', 500)).toEqual({ kind: 'gap' });
    const slice = await first.read('s', ids[300] ?? '', 500);
    expect(slice).toMatchObject({ kind: 'events', events: ids.slice(301).map((id) => ({ id })) });
  });

  it('bounds the bytes of a session and keeps its newest event, however large', async () => {
    const { first } = await open({ ...generous, maxBytesPerSession: 4096 });
    const early = await append(first, 'p', 'early');
    for (let index = 0; index < 200; index += 1) await append(first, 'p', 'x'.repeat(1000));
    expect(await first.read('s', early, 500)).toEqual({ kind: 'gap' });
    const large = await append(first, 'q', 'x'.repeat(8192));
    expect((await first.read('s', large, 9)).kind).toBe('events');
  });

  it('makes room for a new stream at the cost of a complete one before a running one', async () => {
    const { first, advance } = await open({ ...generous, maxStreamsPerSession: 3 });
    const running = await append(first, 'running', '');
    advance(1);
    const complete = await append(first, 'complete', '', true);
    advance(1);
    const late = await append(first, 'late', '');
    advance(1);
    const fresh = await append(first, 'fresh', '');
    expect(await first.read('s', complete, 9)).toEqual({ kind: 'gap' });
    for (const cursor of [running, late, fresh])
      expect((await first.read('s', cursor, 9)).kind).toBe('events');
  });
}

type Step =
  | {
      readonly kind: 'append';
      readonly streamId: string;
      readonly size: number;
      readonly isTerminal: boolean;
    }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'end' };

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      streamId: fc.constantFrom('g', 'p', 'q', 'r', 'a_b'),
      size: fc.oneof(fc.nat(40), fc.nat(1500)),
      isTerminal: fc.integer({ min: 0, max: 5 }).map((roll) => roll === 0),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.nat(retainMs) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'end' as const }) },
);

interface ModelEvent extends LoggedEvent {
  readonly isTerminal: boolean;
}

/** Runs the steps and keeps every accepted event of each stream, in order, for ever. */
async function run(
  sequence: readonly Step[],
  { doors, first, advance }: Bench,
): Promise<Map<string, ModelEvent[]>> {
  const accepted = new Map<string, ModelEvent[]>();
  let isEnded = false;
  for (const [index, step] of sequence.entries()) {
    if (step.kind === 'advance') advance(step.ms);
    if (step.kind === 'end') {
      isEnded = true;
      await first.end('s');
    }
    if (step.kind !== 'append') continue;
    const data = `${index}:${'x'.repeat(step.size)}`;
    const door = doors[index % doors.length] ?? first;
    const id = await door.append('s', step.streamId, data, { isTerminal: step.isTerminal });
    const events = accepted.get(step.streamId) ?? [];
    accepted.set(step.streamId, events);
    if (isEnded) expect(id).toBeUndefined();
    if (id === undefined) {
      expect(isEnded || events.at(-1)?.isTerminal).toBe(true);
      continue;
    }
    events.push({ id, data, isTerminal: step.isTerminal });
    // What was written last can always be resumed from.
    expect((await first.read('s', id, 9)).kind).toBe('events');
  }
  return accepted;
}

function describeModel(open: Open): void {
  for (const [name, limits] of Object.entries({ generous, narrow })) {
    it(`never loses an event in silence through any sequence of steps (${name} bounds)`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(steps, { maxLength: 60 }), async (sequence) => {
          const bench = await open(limits);
          const accepted = await run(sequence, bench);
          const everyId = [...accepted.values()].flat().map(({ id }) => id);
          expect(new Set(everyId).size).toBe(everyId.length);
          for (const events of accepted.values()) {
            for (const [index, { id }] of events.entries()) {
              const slice = await bench.last.read('s', id, 1000);
              if (slice.kind === 'gap') continue;
              const following = events.slice(index + 1).map((event) => ({ id: event.id, data: event.data }));
              expect(slice.events).toEqual(following);
              expect(slice.isComplete).toBe(events.at(-1)?.isTerminal);
            }
          }
        }),
        { numRuns: 60 },
      );
    });
  }

  it('tells a gap only for a reason: within generous bounds, for complete streams past their time and ended sessions', async () => {
    const kept = steps.filter((step) => step.kind === 'append');
    await fc.assert(
      fc.asyncProperty(fc.array(kept, { maxLength: 40 }), async (sequence) => {
        const bench = await open();
        for (const events of (await run(sequence, bench)).values()) {
          for (const { id } of events) expect((await bench.last.read('s', id, 9)).kind).toBe('events');
        }
      }),
      { numRuns: 30 },
    );
  });
}
