import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { SealedBox } from '../../src/mcp/sealed-box.ts';
import { createRedisEventLog } from '../../src/redis/redis-event-log.ts';
import type { RedisConnection } from '../../src/redis/redis-connection.ts';
import {
  createRedisSessionStore,
  type RedisSessionStoreOptions,
} from '../../src/redis/redis-session-store.ts';
import { toRecord } from '../../src/sessions/session-store-bench.contract.ts';
import { describeSessionStore } from '../../src/sessions/session-store.contract.ts';
import type { SessionRecord, SessionStore } from '../../src/sessions/session-store.ts';
import { createTestBox, createTestLog, startRedisBench, type RedisBench } from './redis-bench.ts';

let bench: RedisBench;

beforeAll(async () => {
  bench = await startRedisBench();
});

afterAll(() => bench.stop());

describeSessionStore('a session store on Redis', async (limits) => {
  const { logger } = createTestLog();
  const box = createTestBox(limits.now);
  const [first, second] = bench.openEmpty();
  return [
    createRedisSessionStore({ ...limits, sameUseMs: 0, redis: first, box, logger }),
    createRedisSessionStore({ ...limits, sameUseMs: 0, redis: second, box, logger }),
  ];
});

interface Opened {
  readonly stores: readonly [SessionStore, SessionStore];
  readonly redis: RedisConnection;
  readonly events: readonly string[];
}

/** Two instances' stores that go by Redis's own clock. */
function openStores(options: Partial<RedisSessionStoreOptions> = {}): Opened {
  const [first, second] = bench.openEmpty();
  const { logger, events } = createTestLog();
  const create = (redis: RedisConnection): SessionStore =>
    createRedisSessionStore({
      redis,
      box: createTestBox(),
      logger,
      idleTtlMs: 60_000,
      maxPerPrincipal: 100,
      ...options,
    });
  return { stores: [create(first), create(second)], redis: first, events };
}

function toFreshRecord(id: string, parts: Partial<SessionRecord> = {}): SessionRecord {
  return toRecord(id, Date.now(), parts);
}

/** Puts another character in the place of one: a digit for a digit. */
function flip(text: string, index: number): string {
  const [one, two] = index < 29 ? ['1', '2'] : ['A', 'B'];
  const other = text[index] === one ? two : one;
  return text.slice(0, index) + other + text.slice(index + 1);
}

describe('a session at rest', () => {
  it('shows nothing of whose it is, nor of the values in it', async () => {
    const { stores, redis } = openStores();
    const record = toFreshRecord('s', { subscriptions: ['notes://secret-uri'] });
    await stores[0].create(record);
    await stores[0].writeValue('s', 'secret-key', '"secret-value"', 0);
    let everything = '';
    for (const key of (await bench.listKeys(redis.prefix)).keys()) {
      everything += key;
      if (key.endsWith(':values')) everything += JSON.stringify(await redis.client.hGetAll(key));
      else if (/principal:\{[^}]*\}$/.test(key))
        everything += JSON.stringify(await redis.client.zRange(key, 0, -1));
      else everything += (await redis.client.get(key)) ?? '';
    }
    expect(everything).toContain('session:{s}');
    for (const text of ['alice', 'acme', 'key_1', 'client', 'secret']) expect(everything).not.toContain(text);
  });

  it('is unknown, and told of in the log, when any part of its record was changed', async () => {
    const { stores, redis, events } = openStores();
    await stores[0].create(toFreshRecord('s'));
    const key = `${redis.prefix}session:{s}`;
    const text = (await redis.client.get(key)) ?? '';
    // The key's name, the vector, the content, the tag; and the absolute end, which is beside the record.
    for (const index of [29, 33, 60, text.length - 1, 16, 28]) {
      await redis.client.set(key, flip(text, index), { expiration: { type: 'PX', value: 60_000 } });
      expect(await stores[1].load('s')).toBeUndefined();
      expect(await stores[1].update('s', () => ({ logLevel: 'error' }))).toBe(false);
    }
    expect(events).toEqual(Array.from({ length: 12 }, () => 'session.record_tampered'));
  });

  it('does not open under another id, nor does a value in another session or under another key', async () => {
    const { stores, redis, events } = openStores();
    await stores[0].create(toFreshRecord('mine'));
    await stores[0].create(toFreshRecord('theirs', { principalKey: 'key:eve@evil' }));
    await stores[0].writeValue('mine', 'k', '1', 0);
    await stores[0].writeValue('mine', 'other', '2', 0);
    await stores[0].writeValue('theirs', 'k', '3', 0);
    const [mine, theirs] = ['mine', 'theirs'].map((id) => `${redis.prefix}session:{${id}}`);
    const fields = await redis.client.hGetAll(`${mine}:values`);
    const names = Object.keys(fields).filter((name) => !name.startsWith('.'));
    await redis.client.hSet(`${mine}:values`, names[0] ?? '', fields[names[1] ?? ''] ?? '');
    const [theirField] = Object.keys(await redis.client.hGetAll(`${theirs}:values`)).filter(
      (name) => !name.startsWith('.'),
    );
    await redis.client.hSet(`${theirs}:values`, theirField ?? '', fields[names[0] ?? ''] ?? '');
    const values = [await stores[0].readValue('mine', 'k'), await stores[0].readValue('mine', 'other')];
    expect(values.filter((value) => value !== undefined)).toHaveLength(1);
    expect(await stores[0].readValue('theirs', 'k')).toBeUndefined();
    expect(events).toEqual(['session.value_tampered', 'session.value_tampered']);

    await redis.client.set(theirs ?? '', (await redis.client.get(mine ?? '')) ?? '', {
      expiration: 'KEEPTTL',
    });
    expect(await stores[0].load('theirs')).toBeUndefined();
    expect(events.at(-1)).toBe('session.record_tampered');
  });

  it('is decrypted once by an instance, and again only when another one changed it', async () => {
    let opened = 0;
    const real = createTestBox();
    const box: SealedBox = {
      seal: (value, options) => real.seal(value, options),
      open: (sealed, binding) => {
        opened += 1;
        return real.open(sealed, binding);
      },
      openDated: (sealed, binding) => real.openDated(sealed, binding),
    };
    const { stores } = openStores({ box });
    await stores[0].create(toFreshRecord('s'));
    for (let count = 0; count < 5; count += 1) await stores[0].load('s');
    expect(opened).toBe(1);
    await stores[0].update('s', () => ({ logLevel: 'error' }));
    expect((await stores[0].load('s'))?.logLevel).toBe('error');
    expect(opened).toBe(1);
    await stores[1].update('s', () => ({ logLevel: 'debug' }));
    expect((await stores[0].load('s'))?.logLevel).toBe('debug');
    expect(opened).toBe(3);
  });
});

describe('the keys of a session', () => {
  it('are left alone by uses that follow each other closely', async () => {
    let time = Date.now();
    const { stores, redis } = openStores({ sameUseMs: 1000, now: () => time });
    await stores[0].create(toFreshRecord('s'));
    const key = `${redis.prefix}session:{s}`;
    const text = await redis.client.get(key);
    await redis.client.pExpire(key, 5000);
    time += 999;
    expect(await stores[1].load('s')).toBeDefined();
    expect(await redis.client.get(key)).toBe(text);
    expect(await redis.client.pTTL(key)).toBeLessThanOrEqual(5000);
    time += 1;
    expect(await stores[1].load('s')).toBeDefined();
    expect(await redis.client.get(key)).not.toBe(text);
    expect(await redis.client.pTTL(key)).toBeGreaterThan(50_000);
  });

  it('all have an end, which a load moves together', async () => {
    const { stores, redis } = openStores({ sameUseMs: 0 });
    await stores[0].create(toFreshRecord('s'));
    await stores[0].writeValue('s', 'k', '1', 0);
    await stores[0].update('s', () => ({ logLevel: 'error' }));
    await redis.client.pExpire(`${redis.prefix}session:{s}`, 5000);
    await redis.client.pExpire(`${redis.prefix}session:{s}:values`, 5000);
    await stores[1].load('s');
    const keys = await bench.listKeys(redis.prefix);
    expect(keys.size).toBe(4);
    for (const ttlMs of keys.values()) expect(ttlMs).toBeGreaterThan(50_000);
  });

  it('end with the session by its absolute end, where that comes before the idle time', async () => {
    const { stores, redis } = openStores();
    await stores[0].create(toFreshRecord('s', { expiresAt: Date.now() + 2000 }));
    await stores[0].load('s');
    await stores[0].writeValue('s', 'k', '1', 0);
    for (const ttlMs of (await bench.listKeys(redis.prefix)).values()) {
      expect(ttlMs).toBeGreaterThan(0);
      expect(ttlMs).toBeLessThanOrEqual(2000);
    }
  });

  it('are gone when it was ended, its streams included, but for the mark that refuses what comes late', async () => {
    const { stores, redis } = openStores();
    const { logger } = createTestLog();
    const log = createRedisEventLog({ redis, box: createTestBox(), logger });
    await stores[0].create(toFreshRecord('s'));
    await stores[0].writeValue('s', 'k', '1', 0);
    await log.append('s', 'g', '');
    await log.append('s', 'p', '1', { isTerminal: true });
    expect(await stores[1].end('s')).toBe(true);
    const left = await bench.listKeys(`${redis.prefix}session:`);
    expect([...left.keys()]).toEqual([`${redis.prefix}session:{s}:ended`]);
    expect(left.get(`${redis.prefix}session:{s}:ended`)).toBeGreaterThan(0);
    expect(await log.append('s', 'g', 'late')).toBeUndefined();
  });

  it('are never made by asking for sessions that do not exist, whatever they are called', async () => {
    const { stores, redis } = openStores();
    for (const id of ['', '}', '{', 'a}b', 'a b', 'é', 'x'.repeat(129), 'unknown']) {
      expect(await stores[0].load(id)).toBeUndefined();
      expect(await stores[0].end(id)).toBe(false);
      expect(await stores[0].update(id, () => ({ logLevel: 'error' }))).toBe(false);
      expect(await stores[0].readValue(id, 'k')).toBeUndefined();
      expect(await stores[0].writeValue(id, 'k', '1', 0)).toBe(false);
    }
    await expect(stores[0].create(toFreshRecord('a}b'))).rejects.toThrow(TypeError);
    expect((await bench.listKeys(redis.prefix)).size).toBe(0);
  });

  it('leave no trace of two thousand abandoned sessions after their time', async () => {
    const { stores, redis } = openStores({ idleTtlMs: 3000, maxPerPrincipal: 10 });
    const { logger } = createTestLog();
    const log = createRedisEventLog({ redis, box: createTestBox(), logger, idleTtlMs: 3000, retainMs: 3000 });
    const open = async (index: number): Promise<void> => {
      const expiresAt = Date.now() + 6000;
      const record = toFreshRecord(`s${index}`, { principalKey: `key:${index % 500}@acme`, expiresAt });
      await stores[index % 2 === 0 ? 0 : 1].create(record);
      if (index % 4 === 0) await stores[0].writeValue(record.id, 'k', '1', 0);
      if (index % 4 === 1) await log.append(record.id, 'g', '');
    };
    for (let start = 0; start < 2000; start += 100)
      await Promise.all(Array.from({ length: 100 }, (_, offset) => open(start + offset)));
    const keys = await bench.listKeys(redis.prefix);
    expect(keys.size).toBeGreaterThan(1000);
    expect([...keys.values()].filter((ttlMs) => ttlMs === -1)).toEqual([]);
    await vi.waitFor(async () => expect((await bench.listKeys(redis.prefix)).size).toBe(0), {
      timeout: 20_000,
      interval: 250,
    });
  });
});

describe('the cap of a principal', () => {
  it('ends the streams of whom it ends, finds the longest-idle among many that were used since', async () => {
    const { stores, redis } = openStores({ maxPerPrincipal: 40, sameUseMs: 0 });
    for (let index = 0; index < 40; index += 1) await stores[0].create(toFreshRecord(`s${index}`));
    // In Redis's own milliseconds.
    const started = Date.now();
    await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(started + 2), { timeout: 20_000 });
    for (let index = 0; index < 40; index += 1) if (index !== 33) await stores[1].load(`s${index}`);
    await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(started + 4), { timeout: 20_000 });
    expect(await stores[1].create(toFreshRecord('new'))).toEqual(['s33']);
    expect(await bench.listKeys(`${redis.prefix}session:{s33}`)).toEqual(
      new Map([[`${redis.prefix}session:{s33}:ended`, expect.any(Number)]]),
    );
  });

  it('is kept where two instances open sessions at once, each evicted one told once', async () => {
    const { stores } = openStores({ maxPerPrincipal: 5 });
    const ids = Array.from({ length: 200 }, (_, index) => `s${index}`);
    const evicted = (
      await Promise.all(ids.map((id, index) => stores[index % 2 === 0 ? 0 : 1].create(toFreshRecord(id))))
    ).flat();
    expect(evicted).toHaveLength(195);
    expect(new Set(evicted).size).toBe(195);
    const living = await Promise.all(ids.map((id) => stores[0].load(id)));
    expect(living.filter((record) => record !== undefined)).toHaveLength(5);
  });

  it('may be lowered: sessions opened later end those that are too many', async () => {
    const { stores, redis } = openStores({ maxPerPrincipal: 1000 });
    const { logger } = createTestLog();
    for (let index = 0; index < 300; index += 1) await stores[0].create(toFreshRecord(`s${index}`));
    const strict = createRedisSessionStore({
      redis,
      box: createTestBox(),
      logger,
      idleTtlMs: 60_000,
      maxPerPrincipal: 2,
    });
    const evicted = [
      ...(await strict.create(toFreshRecord('x'))),
      ...(await strict.create(toFreshRecord('y'))),
    ];
    expect(new Set(evicted).size).toBe(300);
    for (const id of ['x', 'y']) expect(await strict.load(id)).toBeDefined();
  });

  it('is kept by a count that holds sessions which never came to be', async () => {
    const { stores, redis } = openStores({ maxPerPrincipal: 3 });
    await stores[0].create(toFreshRecord('a'));
    const [count] = [...(await bench.listKeys(`${redis.prefix}principal:`)).keys()].filter((key) =>
      key.endsWith('}'),
    );
    const ends = Date.now() + 60_000;
    const members = ['x', 'y'].map((id) => ({ value: `${ends}:${id}`, score: Date.now() - 30_000 }));
    await redis.client.zAdd(count ?? '', members);
    expect(await stores[0].create(toFreshRecord('b'))).toEqual([]);
    expect(await stores[0].create(toFreshRecord('c'))).toEqual([]);
    for (const id of ['a', 'b', 'c']) expect(await stores[0].load(id)).toBeDefined();
  });
});
