import { afterEach, describe, expect, it } from 'vitest';
import {
  openBench,
  suiteLimits,
  toRecord,
  type MakeSessionStore,
  type SessionStoreBench,
} from './session-store-bench.contract.ts';
import { describeModel } from './session-store-model.contract.ts';
import type { SessionRecord, SessionStore } from './session-store.ts';

const { idleTtlMs, maxPerPrincipal, maxValueBytes, maxRecordBytes } = suiteLimits;

/** What every `SessionStore` does. */
export function describeSessionStore(name: string, make: MakeSessionStore): void {
  describe(`${name} as a SessionStore`, () => {
    const opened: SessionStore[] = [];

    async function open(): Promise<SessionStoreBench> {
      const bench = await openBench(make);
      opened.push(...bench.doors);
      return bench;
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

function describeRecords(open: () => Promise<SessionStoreBench>): void {
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
      expect(await first.update(id, () => ({ logLevel: 'error' }))).toBe(false);
      expect(await first.end(id)).toBe(false);
      expect(await first.readValue(id, 'k')).toBeUndefined();
      expect(await first.writeValue(id, 'k', '1', 0)).toBe(false);
    }
  });

  it('refuses to put a second session in the place of a living one', async () => {
    const { first, last, now } = await open();
    await first.create(toRecord('s', now()));
    await expect(last.create(toRecord('s', now(), { principalKey: 'key:eve@evil' }))).rejects.toThrow(
      TypeError,
    );
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
    expect(await first.update('s', () => ({ subscriptions: uris }))).toBe(true);
    uris.push('notes://2');
    expect(await last.update('s', () => ({ logLevel: 'error' }))).toBe(true);
    expect(await first.load('s')).toEqual(
      toRecord('s', now(), { subscriptions: ['notes://1'], logLevel: 'error' }),
    );
  });

  it('loses no change of updates made at once, each from what the one before it left', async () => {
    const { doors, first, now } = await open();
    await first.create(toRecord('s', now()));
    const uris = Array.from({ length: 20 }, (_, index) => `notes://${index}`);
    await Promise.all(
      uris.map((uri, index) =>
        (doors[index % doors.length] ?? first).update('s', ({ subscriptions }) => ({
          subscriptions: [...subscriptions, uri],
        })),
      ),
    );
    expect(new Set((await first.load('s'))?.subscriptions)).toEqual(new Set(uris));
  });

  it('leaves a record as it is when an update changes nothing, or throws, and passes on what it threw', async () => {
    const { first, now } = await open();
    await first.create(toRecord('s', now()));
    expect(await first.update('s', () => undefined)).toBe(true);
    const broken = new Error('broken');
    const fail = (): never => {
      throw broken;
    };
    await expect(first.update('s', fail)).rejects.toBe(broken);
    expect(await first.load('s')).toEqual(toRecord('s', now()));
    expect(await first.update('unknown', fail)).toBe(false);
  });

  it('refuses a record that is too large, whole or by an update, and keeps what it had', async () => {
    const { first, now } = await open();
    const long = 'é'.repeat(maxRecordBytes / 2);
    await expect(
      first.create(toRecord('s', now(), { clientInfo: { name: long, version: '1' } })),
    ).rejects.toThrow(RangeError);
    expect(await first.load('s')).toBeUndefined();
    await first.create(toRecord('s', now()));
    await expect(first.update('s', () => ({ subscriptions: [long] }))).rejects.toThrow(RangeError);
    expect(await first.load('s')).toEqual(toRecord('s', now()));
  });

  it('forgets an ended session and its values, once', async () => {
    const { first, last, now } = await open();
    await first.create(toRecord('s', now()));
    await first.writeValue('s', 'k', '1', 0);
    expect(await last.end('s')).toBe(true);
    expect(await first.end('s')).toBe(false);
    expect(await first.load('s')).toBeUndefined();
    expect(await first.update('s', () => ({ logLevel: 'error' }))).toBe(false);
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

function describeExpiry(open: () => Promise<SessionStoreBench>): void {
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
    await first.update('s', () => ({ logLevel: 'error' }));
    await first.writeValue('s', 'k', '1', 0);
    await first.readValue('s', 'k');
    advance(1);
    expect(await first.update('s', () => ({ logLevel: 'debug' }))).toBe(false);
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

  it('ends a session at the later end that an update gave it, its values with it, at every door', async () => {
    const { first, last, now, advance } = await open();
    await first.create(toRecord('s', now(), { expiresAt: now() + 50 }));
    await first.writeValue('s', 'k', '1', 0);
    const expiresAt = now() + 90;
    expect(await last.update('s', () => ({ expiresAt }))).toBe(true);
    advance(60);
    expect((await first.load('s'))?.expiresAt).toBe(expiresAt);
    expect((await last.readValue('s', 'k'))?.value).toBe('1');
    advance(30);
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

function describeCap(open: () => Promise<SessionStoreBench>): void {
  it("ends the longest-idle session of a principal that opens one too many, and nobody else's", async () => {
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

  it("lets ended and expired sessions take nobody's place", async () => {
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

  it('goes on clearing away sessions past their absolute end before living ones, each time one opens', async () => {
    const { first, now, advance } = await open();
    for (const [id, lifeMs] of Object.entries({ live: idleTtlMs, short: 50, longer: 100 })) {
      await first.create(toRecord(id, now(), { expiresAt: now() + lifeMs }));
      advance(1);
    }
    advance(48);
    expect(await first.create(toRecord('d', now()))).toEqual([]);
    await first.load('longer');
    advance(51);
    expect(await first.create(toRecord('e', now()))).toEqual([]);
    expect(await first.load('live')).toBeDefined();
  });

  it('never keeps more than the cap when sessions are opened at once', async () => {
    const { doors, first, now } = await open();
    const ids = Array.from({ length: 30 }, (_, index) => `s${index}`);
    const evicted = (
      await Promise.all(
        ids.map((id, index) => (doors[index % doors.length] ?? first).create(toRecord(id, now()))),
      )
    ).flat();
    expect(new Set(evicted).size).toBe(ids.length - maxPerPrincipal);
    for (const id of ids) expect((await first.load(id)) === undefined).toBe(evicted.includes(id));
  });
}

function describeValues(open: () => Promise<SessionStoreBench>): void {
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
      for (let index = 0; index < maxValueBytes / 16; index += 1)
        await first.writeValue('s', `${index}`, '', 0);
    }
    await expect(fill()).rejects.toThrow(RangeError);
  });

  it('lets exactly one of many concurrent writers of one version win', async () => {
    const { doors, first, now } = await open();
    await first.create(toRecord('s', now()));
    for (let round = 0; round < 5; round += 1) {
      const version = (await first.readValue('s', 'k'))?.version ?? 0;
      const wins = await Promise.all(
        Array.from({ length: 10 }, (_, index) =>
          (doors[index % doors.length] ?? first).writeValue('s', 'k', `${index}`, version),
        ),
      );
      expect(wins.filter((won) => won)).toHaveLength(1);
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
    await Promise.all(
      Array.from({ length: 20 }, (_, index) => increment(doors[index % doors.length] ?? first)),
    );
    expect((await first.readValue('s', 'n'))?.value).toBe('20');
  });
}
