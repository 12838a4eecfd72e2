import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { UpstreamError } from '../../src/errors.ts';
import { openRedis, type RedisConnection } from '../../src/redis/redis-connection.ts';
import { createRedisEventLog, type RedisEventLogOptions } from '../../src/redis/redis-event-log.ts';
import { describeEventLog } from '../../src/sessions/event-log.contract.ts';
import type { EventLog } from '../../src/sessions/event-log.ts';
import { startRedis } from '../redis-server.ts';
import { startTcpProxy } from '../tcp-proxy.ts';
import { createTestBox, createTestLog, startRedisBench, type RedisBench } from './redis-bench.ts';

let bench: RedisBench;

beforeAll(async () => {
  bench = await startRedisBench();
});

afterAll(() => bench.stop());

describeEventLog('an event log on Redis', async (limits) => {
  const { logger } = createTestLog();
  const box = createTestBox(limits.now);
  const [first, second] = bench.openEmpty();
  return {
    doors: [
      createRedisEventLog({ ...limits, redis: first, box, logger }),
      createRedisEventLog({ ...limits, redis: second, box, logger }),
    ],
    openSession: async () => {},
  };
});

interface Opened {
  readonly log: EventLog;
  readonly redis: RedisConnection;
  readonly events: readonly string[];
}

/** A log that goes by Redis's own clock. */
function openLog(options: Partial<RedisEventLogOptions> = {}): Opened {
  const [redis] = bench.openEmpty();
  const { logger, events } = createTestLog();
  return { log: createRedisEventLog({ redis, box: createTestBox(), logger, ...options }), redis, events };
}

async function append(log: EventLog, streamId: string, data: string, isTerminal = false): Promise<string> {
  const id = await log.append('s', streamId, data, { isTerminal });
  if (id === undefined) throw new Error(`The log refused ${data}.`);
  return id;
}

describe('events at rest', () => {
  it('show nothing of their messages', async () => {
    const { log, redis } = openLog();
    await append(log, 'p', '{"secret":1}');
    expect(
      JSON.stringify(await redis.client.lRange(`${redis.prefix}session:{s}:stream:p`, 0, -1)),
    ).not.toContain('secret');
  });

  it('are a gap, and told of in the log, when they were changed or come from another stream', async () => {
    const { log, redis, events } = openLog();
    const priming = await append(log, 'p', '');
    await append(log, 'q', 'theirs');
    const ours = await append(log, 'p', 'ours');
    const [theirs] = await redis.client.lRange(`${redis.prefix}session:{s}:stream:q`, 0, -1);
    const stream = `${redis.prefix}session:{s}:stream:p`;
    const [first] = await redis.client.lRange(stream, 0, 0);
    await redis.client.del(stream);
    await redis.client.lPush(stream, [theirs ?? '', first ?? '']);
    expect(await log.read('s', priming, 9)).toEqual({ kind: 'gap' });
    expect(events).toEqual(['session.event_tampered']);
    expect((await log.read('s', ours, 9)).kind).toBe('events');
  });

  it('may be far larger than what clients hold sealed', async () => {
    const { log } = openLog({ maxBytesPerSession: 1024 });
    const priming = await append(log, 'p', '');
    const data = 'é'.repeat(500_000);
    await append(log, 'q', '');
    const large = await append(log, 'p', data, true);
    expect(await log.read('s', priming, 9)).toEqual({ kind: 'gap' });
    expect((await log.read('s', large, 9)).kind).toBe('events');
  });
});

describe('the keys of streams', () => {
  it('all have an end, a complete one its own, and each read moves the others', async () => {
    const { log, redis } = openLog({ idleTtlMs: 60_000, retainMs: 5000 });
    const running = await append(log, 'g', '');
    await append(log, 'p', '1', true);
    const keyOf = (streamId: string): string => `${redis.prefix}session:{s}:stream:${streamId}`;
    await redis.client.pExpire(keyOf('g'), 1000);
    await log.read('s', running, 1);
    const keys = await bench.listKeys(redis.prefix);
    expect(keys.size).toBe(3);
    expect(keys.get(keyOf('p'))).toBeLessThanOrEqual(5000);
    expect(keys.get(keyOf('p'))).toBeGreaterThan(0);
    expect(keys.get(keyOf('g'))).toBeGreaterThan(50_000);
    expect(keys.get(`${redis.prefix}session:{s}:streams`)).toBeGreaterThan(50_000);
  });

  it('are gone when the session ended, but for the mark that refuses what comes late', async () => {
    const { log, redis } = openLog();
    for (const streamId of ['g', 'p', 'a_b', ':x']) await append(log, streamId, '1');
    await log.end('s');
    expect([...(await bench.listKeys(redis.prefix)).keys()]).toEqual([`${redis.prefix}session:{s}:ended`]);
  });

  it('are never made by reading, whatever is asked for', async () => {
    const { log, redis } = openLog();
    for (const id of ['p_1-0', 'p_1-99999999999999999999', 'p_-', 'p_+', 'p_*', 'p_$', '_1-0']) {
      expect(await log.read('s', id, 9)).toEqual({ kind: 'gap' });
      expect(await log.read('a}b', id, 9)).toEqual({ kind: 'gap' });
    }
    expect((await bench.listKeys(redis.prefix)).size).toBe(0);
  });
});

describe('a log whose clock was put back', () => {
  it('gives no id again, on whichever stream', async () => {
    let time = 1_800_000_000_000;
    const { log } = openLog({ now: () => time, retainMs: 1000 });
    const ids = [await append(log, 'p', '1'), await append(log, 'q', '1', true)];
    time -= 3_600_000;
    ids.push(await append(log, 'p', '2'), await append(log, 'r', '1'));
    time += 2 * 3_600_000;
    ids.push(await append(log, 'q', 'anew'));
    const positions = ids.map((id) => id.slice(2));
    expect(new Set(positions).size).toBe(5);
    expect((await log.read('s', ids[1] ?? '', 9)).kind).toBe('gap');
    expect(await log.read('s', ids[0] ?? '', 9)).toMatchObject({ events: [{ id: ids[2], data: '2' }] });
  });
});

describe('the count of a session’s bytes', () => {
  it('gets right again when a stream expired by itself', async () => {
    const { log, redis } = openLog({ maxBytesPerSession: 4096 });
    await append(log, 'gone', 'x'.repeat(2000));
    const kept = await append(log, 'kept', 'x'.repeat(500));
    await redis.client.del(`${redis.prefix}session:{s}:stream:gone`);
    await append(log, 'new', 'x'.repeat(1000));
    expect((await log.read('s', kept, 9)).kind).toBe('events');
    const index = await redis.client.hGetAll(`${redis.prefix}session:{s}:streams`);
    expect(Number(index['.bytes'])).toBeLessThan(4096);
    expect(index['=gone']).toBeUndefined();
  });
});

describe('an append whose connection is cut', () => {
  it('is stored once, whether or not it had been before', async () => {
    const server = await startRedis();
    onTestFinished(() => server.stop());
    const proxy = await startTcpProxy(server.port);
    onTestFinished(() => proxy.close());
    const { logger } = createTestLog();
    const redis = await openRedis({ url: `redis://127.0.0.1:${proxy.port}`, logger });
    onTestFinished(() => redis.close());
    const log = createRedisEventLog({ redis, box: createTestBox(), logger });
    const priming = await append(log, 'p', '');
    const data = Array.from({ length: 20 }, (_, index) => String(index));
    for (const text of data) {
      server.pause();
      const appended = append(log, 'p', text);
      // The command leaves in a later turn; odd ones are cut before that.
      if (Number(text) % 2 === 0) await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      proxy.cut();
      server.resume();
      await appended;
    }
    const slice = await log.read('s', priming, 100);
    expect(slice.kind === 'events' && slice.events.map((event) => event.data)).toEqual(data);
  });

  it('is repeated for as long as it may wait', async () => {
    const server = await startRedis({ isPersistent: true });
    onTestFinished(() => server.stop());
    const { logger } = createTestLog();
    const redis = await openRedis({ url: server.url, logger, commandTimeoutMs: 200 });
    onTestFinished(() => redis.close());
    const log = createRedisEventLog({ redis, box: createTestBox(), logger });
    const priming = await append(log, 'p', '');
    await server.kill();
    const patient = log.append('s', 'p', 'patient', { isTerminal: true, waitMs: 10_000 });
    await expect(log.append('s', 'q', 'impatient')).rejects.toThrow(UpstreamError);
    await server.restart();
    expect(await patient).toBeDefined();
    expect(await log.read('s', priming, 9)).toMatchObject({
      events: [{ data: 'patient' }],
      isComplete: true,
    });
  });
});
