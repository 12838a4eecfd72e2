import { createClient, type RedisClientType } from 'redis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createSealedBox, type SealedBox, type SealingKey, toSealingKey } from '../../src/mcp/sealed-box.ts';
import { openRedis, type RedisConnection } from '../../src/redis/redis-connection.ts';
import { createRedisEventLog } from '../../src/redis/redis-event-log.ts';
import { createRedisSessionStore } from '../../src/redis/redis-session-store.ts';
import { rekeyOnRedis } from '../../src/redis/rekey-on-redis.ts';
import { type RekeyOptions, rekeySessions, type RekeySummary } from '../../src/redis/rekey-sessions.ts';
import { resealEvents } from '../../src/redis/scripts/reseal-events.ts';
import { toSessionKeys } from '../../src/redis/session-keys.ts';
import { SessionSeal } from '../../src/redis/session-seal.ts';
import type { EventLog } from '../../src/sessions/event-log.ts';
import { toRecord } from '../../src/sessions/session-store-bench.contract.ts';
import type { SessionStore } from '../../src/sessions/session-store.ts';
import { findFreePort, startRedis, startSentinel, type RedisServer } from '../redis-server.ts';
import { createTestLog, startRedisBench, type RedisBench } from './redis-bench.ts';

const timeout = 60_000;
const oldKey = toSealingKey('0a'.repeat(32));
const newKey = toSealingKey('0b'.repeat(32));

/** An instance's view of what rests in Redis. */
interface Instance {
  readonly store: SessionStore;
  readonly log: EventLog;
  /** What it logged. */
  readonly events: readonly string[];
}

function createBox(...keys: readonly SealingKey[]): SealedBox {
  return createSealedBox({ keys });
}

/** Few enough that a stream that is written to goes on losing its first ones. */
const maxEventsPerStream = 200;

function openInstance(redis: RedisConnection, ...keys: readonly SealingKey[]): Instance {
  const { logger, events } = createTestLog();
  const options = { redis, box: createBox(...keys), logger, idleTtlMs: 600_000 };
  return {
    store: createRedisSessionStore({ ...options, maxPerPrincipal: 10_000 }),
    log: createRedisEventLog({ ...options, maxEventsPerStream }),
    events,
  };
}

function rekey(redis: RedisConnection, options: Partial<RekeyOptions> = {}): Promise<RekeySummary> {
  const seal = new SessionSeal(createBox(newKey, oldKey), createTestLog().logger);
  const { signal } = new AbortController();
  const keyIds = [newKey.id, oldKey.id] as const;
  return rekeySessions({ redis, seal, keyIds, signal, onProgress: () => undefined, ...options });
}

/** Sessions with a value and a stream of 40 events each. @returns the id of each session's first event */
async function fill({ store, log }: Instance, count: number): Promise<readonly string[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const id = `s${index}`;
      await store.create(toRecord(id, Date.now()));
      await store.writeValue(id, 'note', JSON.stringify(`value of ${id}`), 0);
      const first = await log.append(id, 'call-1', '');
      for (let event = 1; event < 40; event += 1) await log.append(id, 'call-1', `"${id} event ${event}"`);
      return first ?? '';
    }),
  );
}

async function expectWhole({ store, log, events }: Instance, firsts: readonly string[]): Promise<void> {
  for (const [index, first] of firsts.entries()) {
    const id = `s${index}`;
    expect(await store.load(id)).toMatchObject({ id, principalKey: 'key:alice@acme' });
    expect(await store.readValue(id, 'note')).toEqual({ value: `"value of ${id}"`, version: 1 });
    const read = await log.read(id, first, 100);
    expect(read).toMatchObject({ kind: 'events' });
    if (read.kind === 'events')
      expect(read.events.map(({ data }) => data)).toEqual(
        Array.from({ length: 39 }, (_, event) => `"${id} event ${event + 1}"`),
      );
  }
  expect(events).toEqual([]);
}

describe('rekeying a Redis', () => {
  let bench: RedisBench;

  beforeAll(async () => {
    bench = await startRedisBench();
  });

  afterAll(() => bench.stop());

  it('leaves everything to be opened with the new key alone, and living for as long as before', async () => {
    const [redis] = bench.openEmpty();
    const firsts = await fill(openInstance(redis, oldKey), 30);
    const before = await bench.listKeys(redis.prefix);
    const summary = await rekey(redis);
    expect(summary).toEqual({
      keyId: newKey.id,
      passes: 2,
      resealed: { records: 30, values: 30, events: 1200 },
      current: { records: 30, values: 30, events: 1200 },
      unreadable: 0,
      messagesLeft: 0,
      isComplete: true,
    });
    const after = await bench.listKeys(redis.prefix);
    expect([...after.keys()].toSorted()).toEqual([...before.keys()].toSorted());
    for (const [key, ttlMs] of after) {
      expect(ttlMs).toBeGreaterThan(0);
      expect(ttlMs).toBeLessThanOrEqual(before.get(key) ?? 0);
    }
    await expectWhole(openInstance(redis, newKey), firsts);
    expect(await rekey(redis)).toMatchObject({
      passes: 1,
      resealed: { records: 0, values: 0, events: 0 },
      isComplete: true,
    });
  });

  it('is seen by an instance that had opened the records before, whatever it changes then', async () => {
    const [redis] = bench.openEmpty();
    const instance = openInstance(redis, newKey, oldKey);
    await fill(openInstance(redis, oldKey), 1);
    await instance.store.load('s0');
    await rekey(redis);
    expect(await instance.store.update('s0', () => ({ logLevel: 'error' }))).toBe(true);
    expect(await instance.store.writeValue('s0', 'note', '2', 1)).toBe(true);
    expect((await openInstance(redis, newKey).store.load('s0'))?.logLevel).toBe('error');
  });

  it.each([
    ['the new key first, as in the procedure', [newKey, oldKey]],
    ['the old key first, by mistake', [oldKey, newKey]],
  ])('loses no write of instances that change everything meanwhile, with %s', async (_, keys) => {
    const [redis, other] = bench.openEmpty();
    const firsts = await fill(openInstance(redis, oldKey), 12);
    const writer = openInstance(other, ...keys);
    let isOver = false;
    let rounds = 0;
    const write = async (id: string): Promise<{ changes: number; counted: number; appended: string[] }> => {
      const done = { changes: 0, counted: 0, appended: [] as string[] };
      while (!isOver || done.counted < 3) {
        const uri = `x://${done.changes}`;
        await writer.store.update(id, ({ subscriptions }) => ({ subscriptions: [...subscriptions, uri] }));
        done.changes += 1;
        const value = await writer.store.readValue(id, 'count');
        const next = String(Number(value?.value ?? 0) + 1);
        if (await writer.store.writeValue(id, 'count', next, value?.version ?? 0)) done.counted += 1;
        const event = await writer.log.append(id, 'call-2', `"${done.changes}"`);
        if (event !== undefined) done.appended.push(event);
        rounds += 1;
        if (done.changes >= 150) break;
      }
      return done;
    };
    const writing = Promise.all(firsts.map((_first, index) => write(`s${index}`)));
    await vi.waitFor(() => expect(rounds).toBeGreaterThan(20), { timeout });
    const summary = await rekey(redis);
    isOver = true;
    const written = await writing;
    expect(summary.unreadable).toBe(0);
    if (keys[0] === newKey) expect(summary.isComplete).toBe(true);
    // What the mistaken ones wrote last is found when it is run again.
    else expect(await rekey(redis)).toMatchObject({ isComplete: true });

    const reader = openInstance(redis, newKey);
    for (const [index, { changes, counted, appended }] of written.entries()) {
      const id = `s${index}`;
      expect((await reader.store.load(id))?.subscriptions).toHaveLength(changes);
      expect((await reader.store.readValue(id, 'count'))?.value).toBe(String(counted));
      const read = await reader.log.read(id, appended[0] ?? '', 1000);
      if (read.kind !== 'events') throw new Error('the stream has a gap');
      expect(read.events.map(({ id: event }) => event)).toEqual(appended.slice(1));
    }
    await expectWhole(reader, firsts);
  });

  it('puts each event in its own place in streams that lose their first ones all the while', async () => {
    const [redis, other] = bench.openEmpty();
    const [before, writer] = [openInstance(redis, oldKey), openInstance(other, oldKey, newKey)];
    const streams = Array.from({ length: 4 }, (_, index) => `call-${index}`);
    await before.store.create(toRecord('s', Date.now()));
    const appended = new Map<string, [id: string, data: string][]>();
    const append = async ({ log }: Instance, stream: string): Promise<void> => {
      const events = appended.get(stream) ?? [];
      appended.set(stream, events);
      const data = `"${stream} ${events.length}"`;
      events.push([(await log.append('s', stream, data)) ?? '', data]);
    };
    for (let count = 0; count < maxEventsPerStream; count += 1)
      await Promise.all(streams.map((stream) => append(before, stream)));
    let isOver = false;
    const writing = Promise.all(
      streams.map(async (stream) => {
        while (!isOver) await append(writer, stream);
      }),
    );
    await rekey(redis);
    isOver = true;
    await writing;
    expect((await rekey(redis)).isComplete).toBe(true);
    const { log, events } = openInstance(redis, newKey);
    for (const stream of streams) {
      const kept = (appended.get(stream) ?? []).slice(-maxEventsPerStream);
      const read = await log.read('s', kept[0]?.[0] ?? '', 2 * maxEventsPerStream);
      if (read.kind !== 'events') throw new Error('the stream has a gap');
      expect(read.events.map(({ id, data }) => [id, data])).toEqual(kept.slice(1));
    }
    expect(events).toEqual([]);
  });

  it('leaves alone what is at the place of an event that is gone: its stream began anew', async () => {
    const [redis] = bench.openEmpty();
    const firsts = await fill(openInstance(redis, oldKey), 1);
    const { streams, streamPrefix } = toSessionKeys(redis.prefix, 's0');
    const keys = [streams, `${streamPrefix}call-1`];
    const [event = ''] = await redis.client.lRange(keys[1] ?? '', 5, 5);
    const renewed = event.slice(event.indexOf(' ') + 1).replace(/^[^.]+/, newKey.id);
    expect(await redis.runScript(resealEvents, keys, ['call-1', '5', 'A'.repeat(22), renewed])).toBe(0);
    expect(await redis.runScript(resealEvents, keys, ['call-1', '5', event.slice(-22), `${renewed}A`])).toBe(
      0,
    );
    await expectWhole(openInstance(redis, oldKey), firsts);
  });

  it('goes on where it was ended, when it is run again', async () => {
    const [redis] = bench.openEmpty();
    const firsts = await fill(openInstance(redis, oldKey), 40);
    const ending = new AbortController();
    const ended = rekey(redis, {
      signal: ending.signal,
      onProgress: () => ending.abort(new Error('killed')),
    });
    // All keys may come in one batch: then the pass after finds that it was ended.
    await expect(ended).rejects.toThrow('killed');
    expect((await rekey(redis)).isComplete).toBe(true);
    await expectWhole(openInstance(redis, newKey), firsts);
  });

  it('counts what opens with none of the keys, and leaves it alone', async () => {
    const [redis] = bench.openEmpty();
    const firsts = await fill(openInstance(redis, oldKey), 3);
    const other = toSealingKey('0c'.repeat(32));
    const seal = new SessionSeal(createBox(newKey, other), createTestLog().logger);
    const summary = await rekey(redis, { seal, keyIds: [newKey.id, other.id] });
    expect(summary).toMatchObject({ unreadable: 3 * 42, resealed: { records: 0, values: 0, events: 0 } });
    await expectWhole(openInstance(redis, oldKey), firsts);
  });

  it('waits for messages between instances that another key encrypts, and tells of those that stay', async () => {
    const [redis] = bench.openEmpty();
    const inbox = `${redis.prefix}inbox:{instance.a}`;
    await redis.client.xAdd(inbox, '*', { m: `id-1,${newKey.id}.new` });
    await redis.client.xAdd(inbox, '*', { m: `id-2,${oldKey.id}.old` });
    expect(await rekey(redis, { maxMessageWaitMs: 100 })).toMatchObject({
      messagesLeft: 1,
      isComplete: false,
    });
    const waited: number[] = [];
    const summary = await rekey(redis, {
      onProgress: ({ waiting }) => {
        waited.push(waiting);
        void redis.client.del(inbox);
      },
    });
    expect(waited).toContain(1);
    expect(summary).toMatchObject({ messagesLeft: 0, isComplete: true });
  });
});

describe('rekeying from the command line', () => {
  const servers: RedisServer[] = [];
  const controls: RedisClientType[] = [];
  const run = (url: string): Promise<RekeySummary | undefined> =>
    rekeyOnRedis({
      url,
      keys: [newKey, oldKey],
      logger: createTestLog().logger,
      onProgress: () => undefined,
    });

  async function openAt(url: string): Promise<RedisConnection> {
    return openRedis({ url, logger: createTestLog().logger });
  }

  afterAll(async () => {
    for (const control of controls) control.destroy();
    await Promise.all(servers.map((server) => server.stop()));
  });

  it('two at once take turns, and the second finds nothing to do', { timeout }, async () => {
    const server = await startRedis();
    servers.push(server);
    const redis = await openAt(server.url);
    await fill(openInstance(redis, oldKey), 30);
    const summaries = await Promise.all([run(server.url), run(server.url)]);
    expect(new Set(summaries.map((summary) => summary?.resealed.records))).toEqual(new Set([0, 30]));
    await redis.close();
  });

  it('finds the master that a sentinel names', { timeout }, async () => {
    const server = await startRedis();
    const sentinel = await startSentinel('main', server.port);
    servers.push(sentinel, server);
    const url = `redis+sentinel://127.0.0.1:${sentinel.port}/main`;
    const redis = await openAt(url);
    const firsts = await fill(openInstance(redis, oldKey), 5);
    expect(await run(url)).toMatchObject({ isComplete: true, resealed: { records: 5 } });
    await expectWhole(openInstance(redis, newKey), firsts);
    await redis.close();
  });

  it('goes through every master of a cluster', { timeout }, async () => {
    const url = await startCluster();
    const redis = await openAt(url);
    const firsts = await fill(openInstance(redis, oldKey), 30);
    const sizes = await Promise.all(controls.map((control) => control.dbSize()));
    expect(Math.min(...sizes)).toBeGreaterThan(0);
    expect(await run(url)).toMatchObject({
      isComplete: true,
      resealed: { records: 30, values: 30, events: 1200 },
    });
    await expectWhole(openInstance(redis, newKey), firsts);
    await redis.close();
  });

  async function startCluster(): Promise<string> {
    const ports: [number, number][] = [];
    for (let node = 0; node < 3; node += 1) {
      const busPort = await findFreePort();
      const server = await startRedis({
        settings: [
          ['cluster-enabled', 'yes'],
          ['cluster-port', String(busPort)],
          ['cluster-node-timeout', '1000'],
          ['cluster-require-full-coverage', 'no'],
        ],
      });
      servers.push(server);
      ports.push([server.port, busPort]);
      const control = createClient({ url: server.url }) as RedisClientType;
      control.on('error', () => undefined);
      await control.connect();
      controls.push(control);
      const [from, to] = [node * 5461, Math.min(node * 5461 + 5460, 16_383)];
      await control.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', String(from), String(to)]);
    }
    for (const [port, busPort] of ports.slice(1))
      await controls[0]?.sendCommand(['CLUSTER', 'MEET', '127.0.0.1', String(port), String(busPort)]);
    await vi.waitFor(
      async () => {
        for (const control of controls) {
          expect(await control.sendCommand(['CLUSTER', 'SLOTS'])).toHaveLength(3);
          expect(await control.sendCommand(['CLUSTER', 'INFO'])).toContain('cluster_state:ok');
        }
      },
      { timeout, interval: 100 },
    );
    return `redis+cluster://127.0.0.1:${servers.at(-1)?.port}`;
  }
});
