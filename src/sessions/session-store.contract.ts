import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { SessionRecord, SessionStore } from './session-store.ts';

/** What the suite asks of a maker. */
export interface SessionStoreLimits {
  readonly idleTtlMs: number;
  readonly maxPerPrincipal: number;
  readonly maxValueBytes: number;
  readonly maxRecordBytes: number;
  /** The suite's clock; a maker that keeps its time elsewhere must still go by this one. */
  readonly now: () => number;
}

/**
 * Opens an empty store.
 *
 * @returns doors to the same sessions, one per instance; a single one where sessions are not shared
 */
export type MakeSessionStore = (limits: SessionStoreLimits) => Promise<readonly [SessionStore, ...SessionStore[]]>;

const idleTtlMs = 10_000;
const maxPerPrincipal = 3;
const maxValueBytes = 4096;
const maxRecordBytes = 8192;

interface Bench {
  readonly first: SessionStore;
  /** Another instance's door, where there is one. */
  readonly last: SessionStore;
  readonly doors: readonly SessionStore[];
  now(): number;
  advance(ms: number): void;
}

/** What every `SessionStore` does. */
export function describeSessionStore(name: string, make: MakeSessionStore): void {
  describe(`${name} as a SessionStore`, () => {
    const opened: SessionStore[] = [];

    async function open(): Promise<Bench> {
      let time = 1_800_000_000_000;
      const now = (): number => time;
      const doors = await make({ idleTtlMs, maxPerPrincipal, maxValueBytes, maxRecordBytes, now });
      opened.push(...doors);
      return {
        first: doors[0],
        last: doors.at(-1) ?? doors[0],
        doors,
        now,
        advance: (ms) => {
          time += ms;
        },
      };
    }

    afterEach(async () => {
      for (const store of opened.splice(0)) await store.close();
    });

    describeRecords(open);
    describeExpiry(open);
    describeCap(open);
    describeValues(open);
    describeModel(open);

    it('answers check until it is closed, and can be closed twice', async () => {
      const { first } = await open();
      await first.check();
      await first.close();
      await first.close();
      await expect(first.check()).rejects.toThrow();
    });
  });
}

function toRecord(id: string, now: number, parts: Partial<SessionRecord> = {}): SessionRecord {
  return {
    id,
    principalKey: 'key:alice@acme',
    tenantId: 'acme',
    credentialId: 'key_1',
    protocolVersion: '2025-11-25',
    clientInfo: { name: 'client', version: '1.0.0' },
    clientCapabilities: { elicitation: { form: {} } },
    subscriptions: [],
    createdAt: now,
    expiresAt: now + 100 * idleTtlMs,
    ...parts,
  };
}

function describeRecords(open: () => Promise<Bench>): void {
  it('gives back a record exactly as it was created, at every door', async () => {
    const { first, last, now } = await open();
    const record = toRecord('s', now(), { logLevel: 'warning', subscriptions: ['notes://1', 'notes://é'] });
    expect(await first.create(record)).toEqual([]);
    expect(await first.load('s')).toEqual(record);
    expect(await last.load('s')).toEqual(record);
  });

  it('knows nothing of an id that was never created', async () => {
    const { first } = await open();
    for (const id of ['s', '', '__proto__', 'constructor']) {
      expect(await first.load(id)).toBeUndefined();
      expect(await first.update(id, { logLevel: 'error' })).toBe(false);
      expect(await first.end(id)).toBe(false);
      expect(await first.readValue(id, 'k')).toBeUndefined();
      expect(await first.writeValue(id, 'k', '1', 0)).toBe(false);
    }
  });

  it('refuses to put a second session in the place of a living one', async () => {
    const { first, last, now } = await open();
    await first.create(toRecord('s', now()));
    await expect(last.create(toRecord('s', now(), { principalKey: 'key:eve@evil' }))).rejects.toThrow(TypeError);
    expect((await first.load('s'))?.principalKey).toBe('key:alice@acme');
  });

  it('is not changed through the record that was given to it, nor through one that it gave out', async () => {
    const { first, now } = await open();
    const record = toRecord('s', now(), { subscriptions: ['notes://1'] });
    await first.create(record);
    scribble(record);
    const loaded = await first.load('s');
    scribble(loaded);
    expect(await first.load('s')).toEqual(toRecord('s', now(), { subscriptions: ['notes://1'] }));
  });

  it('changes what an update names and nothing else', async () => {
    const { first, last, now } = await open();
    await first.create(toRecord('s', now()));
    const uris = ['notes://1'];
    expect(await first.update('s', { subscriptions: uris })).toBe(true);
    uris.push('notes://2');
    expect(await last.update('s', { logLevel: 'error' })).toBe(true);
    expect(await first.load('s')).toEqual(toRecord('s', now(), { subscriptions: ['notes://1'], logLevel: 'error' }));
  });

  it('refuses a record that is too large, whole or by an update, and keeps what it had', async () => {
    const { first, now } = await open();
    const long = 'é'.repeat(maxRecordBytes / 2);
    await expect(first.create(toRecord('s', now(), { clientInfo: { name: long, version: '1' } }))).rejects.toThrow(
      RangeError,
    );
    expect(await first.load('s')).toBeUndefined();
    await first.create(toRecord('s', now()));
    await expect(first.update('s', { subscriptions: [long] })).rejects.toThrow(RangeError);
    expect(await first.load('s')).toEqual(toRecord('s', now()));
  });

  it('forgets an ended session and its values, once', async () => {
    const { first, last, now } = await open();
    await first.create(toRecord('s', now()));
    await first.writeValue('s', 'k', '1', 0);
    expect(await last.end('s')).toBe(true);
    expect(await first.end('s')).toBe(false);
    expect(await first.load('s')).toBeUndefined();
    expect(await first.update('s', { logLevel: 'error' })).toBe(false);
    expect(await first.readValue('s', 'k')).toBeUndefined();
    expect(await first.writeValue('s', 'k', '2', 1)).toBe(false);
    expect(await first.load('s')).toBeUndefined();
  });
}

/** Tries to change plain data; a frozen one may refuse. */
function scribble(record: SessionRecord | undefined): void {
  const target = record as unknown as {
    tenantId: string;
    subscriptions: string[];
    clientInfo: { name: string };
    clientCapabilities: { sampling?: object };
  };
  const changes = [
    (): unknown => (target.tenantId = 'evil'),
    (): unknown => target.subscriptions.push('notes://evil'),
    (): unknown => (target.clientInfo.name = 'evil'),
    (): unknown => (target.clientCapabilities.sampling = {}),
  ];
  for (const change of changes) {
    try {
      change();
    } catch (error) {
      expect(error).toBeInstanceOf(TypeError);
    }
  }
}

function describeExpiry(open: () => Promise<Bench>): void {
  it('ends a session exactly when it was idle for its time; loading restarts that time, other doors included', async () => {
    const { first, last, now, advance } = await open();
    await first.create(toRecord('s', now()));
    advance(idleTtlMs - 1);
    expect(await last.load('s')).toBeDefined();
    advance(idleTtlMs - 1);
    expect(await first.load('s')).toBeDefined();
    advance(idleTtlMs);
    expect(await first.load('s')).toBeUndefined();
    expect(await last.end('s')).toBe(false);
  });

  it('restarts the idle time by nothing but a load', async () => {
    const { first, now, advance } = await open();
    await first.create(toRecord('s', now()));
    advance(idleTtlMs - 1);
    await first.update('s', { logLevel: 'error' });
    await first.writeValue('s', 'k', '1', 0);
    await first.readValue('s', 'k');
    advance(1);
    expect(await first.update('s', { logLevel: 'debug' })).toBe(false);
    expect(await first.readValue('s', 'k')).toBeUndefined();
    expect(await first.writeValue('s', 'k', '2', 1)).toBe(false);
    expect(await first.load('s')).toBeUndefined();
  });

  it('ends a session exactly at its absolute end, however busy it is', async () => {
    const { first, now, advance } = await open();
    await first.create(toRecord('s', now(), { expiresAt: now() + 3 * idleTtlMs }));
    for (let step = 0; step < 5; step += 1) {
      advance(idleTtlMs / 2);
      expect(await first.load('s')).toBeDefined();
    }
    advance(idleTtlMs / 2 - 1);
    expect(await first.load('s')).toBeDefined();
    advance(1);
    expect(await first.load('s')).toBeUndefined();
  });

  it('starts afresh when an id that expired is created again', async () => {
    const { first, now, advance } = await open();
    await first.create(toRecord('s', now()));
    await first.writeValue('s', 'k', '1', 0);
    advance(idleTtlMs);
    await first.create(toRecord('s', now(), { principalKey: 'key:bob@acme' }));
    expect((await first.load('s'))?.principalKey).toBe('key:bob@acme');
    expect(await first.readValue('s', 'k')).toBeUndefined();
  });
}

function describeCap(open: () => Promise<Bench>): void {
  it('ends the longest-idle session of a principal that opens one too many, and nobody else\'s', async () => {
    const { first, last, now, advance } = await open();
    await first.create(toRecord('other', now(), { principalKey: 'key:bob@acme' }));
    for (const id of ['a', 'b', 'c']) {
      advance(1);
      expect(await first.create(toRecord(id, now()))).toEqual([]);
    }
    advance(1);
    await last.load('a');
    advance(1);
    expect(await last.create(toRecord('d', now()))).toEqual(['b']);
    expect(await first.load('b')).toBeUndefined();
    for (const id of ['a', 'c', 'd', 'other']) expect(await first.load(id)).toBeDefined();
  });

  it('lets ended and expired sessions take nobody\'s place', async () => {
    const { first, now, advance } = await open();
    for (const id of ['live', 'ended', 'expired']) {
      advance(1);
      await first.create(toRecord(id, now(), id === 'expired' ? { expiresAt: now() + 50 } : {}));
    }
    await first.end('ended');
    advance(50);
    expect(await first.create(toRecord('d', now()))).toEqual([]);
    advance(1);
    expect(await first.create(toRecord('e', now()))).toEqual([]);
    for (const id of ['live', 'd', 'e']) expect(await first.load(id)).toBeDefined();
  });

  it('never keeps more than the cap when sessions are opened at once', async () => {
    const { doors, first, now } = await open();
    const ids = Array.from({ length: 30 }, (_, index) => `s${index}`);
    const evicted = (
      await Promise.all(ids.map((id, index) => doors[index % doors.length]?.create(toRecord(id, now())) ?? []))
    ).flat();
    expect(new Set(evicted).size).toBe(ids.length - maxPerPrincipal);
    for (const id of ids) expect((await first.load(id)) === undefined).toBe(evicted.includes(id));
  });
}

function describeValues(open: () => Promise<Bench>): void {
  it('writes, reads and removes application values by their version', async () => {
    const { first, last, now } = await open();
    await first.create(toRecord('s', now()));
    expect(await first.readValue('s', 'k')).toBeUndefined();
    expect(await first.writeValue('s', 'k', '"é"', 0)).toBe(true);
    const written = await last.readValue('s', 'k');
    expect(written?.value).toBe('"é"');
    expect(await last.writeValue('s', 'k', '2', 0)).toBe(false);
    expect(await last.writeValue('s', 'k', '2', (written?.version ?? 0) + 1)).toBe(false);
    expect(await last.writeValue('s', 'k', undefined, written?.version ?? 0)).toBe(true);
    expect(await first.readValue('s', 'k')).toBeUndefined();
    expect(await first.writeValue('s', 'k', undefined, 0)).toBe(true);
  });

  it('keeps the values of keys and sessions apart', async () => {
    const { first, now } = await open();
    await first.create(toRecord('s', now()));
    await first.create(toRecord('t', now(), { principalKey: 'key:bob@acme' }));
    const keys = ['', 'a', 'b', '__proto__', 'record', 'é'];
    for (const key of keys) expect(await first.writeValue('s', key, JSON.stringify(key), 0)).toBe(true);
    for (const key of keys) {
      expect((await first.readValue('s', key))?.value).toBe(JSON.stringify(key));
      expect(await first.readValue('t', key)).toBeUndefined();
    }
    expect(await first.load('s')).toEqual(toRecord('s', now()));
  });

  it('never gives a version twice, so that a value removed and written anew is not taken for the old one', async () => {
    const { first, now } = await open();
    await first.create(toRecord('s', now()));
    await first.writeValue('s', 'k', '1', 0);
    const old = (await first.readValue('s', 'k'))?.version ?? 0;
    await first.writeValue('s', 'k', undefined, old);
    await first.writeValue('s', 'k', '2', 0);
    expect(await first.writeValue('s', 'k', '3', old)).toBe(false);
    expect((await first.readValue('s', 'k'))?.value).toBe('2');
  });

  it('bounds the values of a session together, in bytes, and keeps what it had when it refuses', async () => {
    const { first, now } = await open();
    await first.create(toRecord('s', now()));
    const half = JSON.stringify('é'.repeat(maxValueBytes / 4));
    await first.writeValue('s', 'a', half, 0);
    await expect(first.writeValue('s', 'b', half, 0)).rejects.toThrow(RangeError);
    const { value, version } = (await first.readValue('s', 'a')) ?? { value: '', version: 0 };
    expect(value).toBe(half);
    await expect(first.writeValue('s', 'a', half + half, version)).rejects.toThrow(RangeError);
    expect(await first.writeValue('s', 'a', '1', version)).toBe(true);
    expect(await first.writeValue('s', 'b', half, 0)).toBe(true);
  });

  it('bounds the number of tiny values too', async () => {
    const { first, now } = await open();
    await first.create(toRecord('s', now()));
    async function fill(): Promise<void> {
      for (let index = 0; index < maxValueBytes; index += 1) await first.writeValue('s', `${index}`, '', 0);
    }
    await expect(fill()).rejects.toThrow(RangeError);
  });

  it('lets exactly one of many concurrent writers of one version win', async () => {
    const { doors, first, now } = await open();
    await first.create(toRecord('s', now()));
    for (let round = 0; round < 5; round += 1) {
      const version = (await first.readValue('s', 'k'))?.version ?? 0;
      const wins = await Promise.all(
        Array.from({ length: 10 }, (_, index) => doors[index % doors.length]?.writeValue('s', 'k', `${index}`, version)),
      );
      expect(wins.filter((won) => won === true)).toHaveLength(1);
      expect((await first.readValue('s', 'k'))?.value).toBe(`${wins.indexOf(true)}`);
    }
  });

  it('loses no increment of writers that read, change and try again', async () => {
    const { doors, first, now } = await open();
    await first.create(toRecord('s', now()));
    async function increment(store: SessionStore): Promise<void> {
      for (;;) {
        const present = await store.readValue('s', 'n');
        const next = String(Number(present?.value ?? '0') + 1);
        if (await store.writeValue('s', 'n', next, present?.version ?? 0)) return;
      }
    }
    await Promise.all(Array.from({ length: 20 }, (_, index) => increment(doors[index % doors.length] ?? first)));
    expect((await first.readValue('s', 'n'))?.value).toBe('20');
  });
}

type Step =
  | { readonly kind: 'create'; readonly id: string; readonly principalKey: string; readonly lifeMs: number }
  | { readonly kind: 'load' | 'end' | 'update'; readonly id: string }
  | { readonly kind: 'write'; readonly id: string; readonly key: string; readonly value: string | undefined; readonly isStale: boolean }
  | { readonly kind: 'advance'; readonly ms: number };

const ids = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g');
const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('create' as const),
    id: ids,
    principalKey: fc.constantFrom('alice', 'bob'),
    lifeMs: fc.integer({ min: 1, max: 3 * idleTtlMs }),
  }),
  fc.record({ kind: fc.constantFrom('load' as const, 'end' as const, 'update' as const), id: ids }),
  fc.record({
    kind: fc.constant('write' as const),
    id: ids,
    key: fc.constantFrom('x', 'y'),
    value: fc.option(fc.constantFrom('1', '2'), { nil: undefined }),
    isStale: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: idleTtlMs }) }),
);

interface ModelSession {
  record: SessionRecord;
  usedAt: number;
  readonly values: Map<string, string>;
}

/** The port's rules without any thought for cost: a list in the order of last use. */
class ModelStore {
  sessions: ModelSession[] = [];

  live(now: number): ModelSession[] {
    this.sessions = this.sessions.filter(
      ({ record, usedAt }) => now < usedAt + idleTtlMs && now < record.expiresAt,
    );
    return this.sessions;
  }

  find(id: string, now: number): ModelSession | undefined {
    return this.live(now).find(({ record }) => record.id === id);
  }

  remove(session: ModelSession): void {
    this.sessions = this.sessions.filter((other) => other !== session);
  }

  create(record: SessionRecord, now: number): readonly string[] {
    this.sessions.push({ record, usedAt: now, values: new Map() });
    const own = this.live(now).filter((session) => session.record.principalKey === record.principalKey);
    const evicted = own.slice(0, Math.max(own.length - maxPerPrincipal, 0));
    for (const session of evicted) this.remove(session);
    return evicted.map((session) => session.record.id);
  }

  touch(session: ModelSession, now: number): void {
    this.remove(session);
    session.usedAt = now;
    this.sessions.push(session);
  }
}

function describeModel(open: () => Promise<Bench>): void {
  it('behaves as the model does through any sequence of steps', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { maxLength: 40 }), async (sequence) => {
        const bench = await open();
        const model = new ModelStore();
        for (const [index, step] of sequence.entries()) {
          bench.advance(1);
          await take(step, bench.doors[index % bench.doors.length] ?? bench.first, bench, model);
        }
        for (const id of 'abcdefg') {
          const expected = model.find(id, bench.now());
          for (const key of ['x', 'y']) {
            expect((await bench.first.readValue(id, key))?.value).toBe(expected?.values.get(key));
          }
          expect(await bench.first.load(id)).toEqual(expected?.record);
        }
      }),
      { numRuns: 60 },
    );
  });
}

async function take(step: Step, store: SessionStore, bench: Bench, model: ModelStore): Promise<void> {
  const now = bench.now();
  if (step.kind === 'advance') {
    bench.advance(step.ms);
    return;
  }
  const session = model.find(step.id, now);
  switch (step.kind) {
    case 'create': {
      if (session !== undefined) return;
      const record = toRecord(step.id, now, { principalKey: step.principalKey, expiresAt: now + step.lifeMs });
      expect(await store.create(record)).toEqual(model.create(record, now));
      return;
    }
    case 'load': {
      expect(await store.load(step.id)).toEqual(session?.record);
      if (session !== undefined) model.touch(session, now);
      return;
    }
    case 'end': {
      expect(await store.end(step.id)).toBe(session !== undefined);
      if (session !== undefined) model.remove(session);
      return;
    }
    case 'update': {
      const change = { subscriptions: [`notes://${now}`] };
      expect(await store.update(step.id, change)).toBe(session !== undefined);
      if (session !== undefined) session.record = { ...session.record, ...change };
      return;
    }
    case 'write': {
      const version = (await store.readValue(step.id, step.key))?.version ?? 0;
      const expectedVersion = step.isStale ? version + 1 : version;
      const isWritten = await store.writeValue(step.id, step.key, step.value, expectedVersion);
      expect(isWritten).toBe(session !== undefined && !step.isStale);
      if (!isWritten) return;
      if (step.value === undefined) session?.values.delete(step.key);
      else session?.values.set(step.key, step.value);
    }
  }
}
