import { inspect } from 'node:util';
import { createClient, type RedisClientType } from 'redis';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { UpstreamError } from '../../src/errors.ts';
import { openRedis, type RedisConnection, type RedisOptions } from '../../src/redis/redis-connection.ts';
import { defineScript } from '../../src/redis/redis-script.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { startRedis, type RedisServer } from '../redis-server.ts';
import { startTcpProxy } from '../tcp-proxy.ts';

const commandTimeoutMs = 500;
/** What a command that is bounded by it takes at most on a busy machine. */
const boundMs = 20_000;
const incrementTwice = defineScript(
  'increment-twice',
  `redis.call('INCR', KEYS[1]) return {redis.call('INCR', KEYS[1]), ARGV[1]}`,
);

const logged: string[] = [];
const logger = createLogger({ level: 'debug', destination: { write: (line) => logged.push(line) } });
const opened: RedisConnection[] = [];
let server: RedisServer;

async function open(options: Partial<RedisOptions> = {}): Promise<RedisConnection> {
  const redis = await openRedis({ url: server.url, logger, commandTimeoutMs, ...options });
  opened.push(redis);
  return redis;
}

/** Commands to the server past the connection under test. */
async function openControl(): Promise<RedisClientType> {
  const control = createClient({ url: server.url }) as RedisClientType;
  await control.connect();
  onTestFinished(() => control.destroy());
  return control;
}

async function expectFailure(command: Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await expect(command).rejects.toThrow(UpstreamError);
  return performance.now() - startedAt;
}

beforeAll(async () => {
  server = await startRedis({ isPersistent: true });
});
afterEach(async () => {
  for (const redis of opened.splice(0)) await redis.close();
  logged.length = 0;
  // Whatever the test did to it, and wherever it failed.
  server.resume();
  await server.restart();
});
afterAll(() => server.stop());

describe('a connection to Redis', () => {
  it('runs commands, and scripts also where Redis does not know them', async () => {
    const redis = await open();
    await redis.client.del(['n', 'é']);
    await redis.client.set('é', 'ü');
    expect(await redis.client.get('é')).toBe('ü');
    expect(await redis.client.get('never')).toBeNull();
    expect(await redis.runScript(incrementTwice, ['n'], ['x'])).toEqual([2, 'x']);
    expect(await redis.runScript(incrementTwice, ['n'], ['y'])).toEqual([4, 'y']);
    await redis.check();
  });

  it('tells what Redis refuses as a failure of Redis, and goes on', async () => {
    const redis = await open();
    await redis.client.set('text', 'a');
    await expect(redis.client.incr('text')).rejects.toMatchObject({
      name: 'UpstreamError',
      upstream: 'redis',
    });
    await expect(redis.runScript(defineScript('broken', 'return nothing()'), [], [])).rejects.toThrow(
      UpstreamError,
    );
    expect(await redis.client.get('text')).toBe('a');
  });

  it('does not open without Redis, and says so in time', async () => {
    const startedAt = performance.now();
    await expect(open({ url: 'redis://127.0.0.1:1', connectTimeoutMs: 300 })).rejects.toThrow(UpstreamError);
    expect(performance.now() - startedAt).toBeLessThan(boundMs);
  });

  it('fails commands in time while Redis is gone, and serves again by itself when it is back', async () => {
    const redis = await open();
    let reconnections = 0;
    redis.onReconnected(() => (reconnections += 1));
    await redis.client.set('kept', '1');
    await server.kill();
    expect(await expectFailure(redis.client.get('kept'))).toBeLessThan(boundMs);
    expect(await expectFailure(redis.check())).toBeLessThan(boundMs);
    expect(reconnections).toBe(0);
    await server.restart();
    await vi.waitFor(() => expect(reconnections).toBe(1), { timeout: 20_000 });
    expect(await redis.client.get('kept')).toBe('1');
    expect(logged.filter((line) => line.includes('redis.connection_lost'))).toHaveLength(1);
    expect(logged.filter((line) => line.includes('redis.connected'))).toHaveLength(1);
  });

  it('lets commands wait for a connection that is back in time', async () => {
    const redis = await open({ commandTimeoutMs: 30_000 });
    await redis.client.set('kept', '1');
    await server.kill();
    await vi.waitFor(() => expect(logged.some((line) => line.includes('connection_lost'))).toBe(true), {
      timeout: 20_000,
    });
    const waiting = [redis.client.get('kept'), redis.runScript(defineScript('one', 'return 1'), [], [])];
    await server.restart();
    expect(await Promise.all(waiting)).toEqual(['1', 1]);
  });

  it('bounds how many wait, whatever is asked', async () => {
    const redis = await open({ commandTimeoutMs: 30_000 });
    await server.kill();
    await vi.waitFor(() => expect(logged.some((line) => line.includes('connection_lost'))).toBe(true), {
      timeout: 20_000,
    });
    const startedAt = performance.now();
    const waiting = Array.from({ length: 10_000 }, () => redis.client.get('a').catch(() => undefined));
    await expectFailure(redis.client.get('a'));
    // At once, and not after the time that each may take.
    expect(performance.now() - startedAt).toBeLessThan(20_000);
    const closing = redis.close();
    await Promise.all([closing, ...waiting]);
  });

  it('fails commands in time while Redis hangs, and serves when it goes on', async () => {
    const redis = await open();
    await redis.client.set('a', '1');
    server.pause();
    onTestFinished(() => server.resume());
    const took = await Promise.all(Array.from({ length: 20 }, () => expectFailure(redis.client.get('a'))));
    expect(Math.max(...took)).toBeLessThan(boundMs);
    server.resume();
    await vi.waitFor(async () => expect(await redis.client.get('a')).toBe('1'), { timeout: 20_000 });
  });

  it('leaves a server that has vanished without a word, and connects anew', async () => {
    const proxy = await startTcpProxy(server.port);
    onTestFinished(() => proxy.close());
    const redis = await open({ url: `redis://127.0.0.1:${proxy.port}` });
    await redis.client.set('a', '1');
    proxy.swallow();
    await vi.waitFor(async () => expect(await redis.client.get('a')).toBe('1'), { timeout: 20_000 });
    expect(proxy.accepted).toBe(2);
  });

  it('does not repeat a command that may have run', async () => {
    const proxy = await startTcpProxy(server.port);
    onTestFinished(() => proxy.close());
    const redis = await open({ url: `redis://127.0.0.1:${proxy.port}` });
    const control = await openControl();
    await control.del('n');
    const sent = redis.runScript(
      defineScript('slow', `local n = redis.call('INCR', KEYS[1]) for i = 1, 3000000 do end return n`),
      ['n'],
      [],
    );
    await vi.waitFor(async () => expect(await control.get('n')).toBe('1'), { timeout: 20_000 });
    proxy.cut();
    await sent.catch(() => undefined);
    await vi.waitFor(() => redis.check(), { timeout: 20_000 });
    expect(await control.get('n')).toBe('1');
  });

  it('repeats what only reads, and scripts that say that they may be, when the connection breaks', async () => {
    const proxy = await startTcpProxy(server.port);
    onTestFinished(() => proxy.close());
    const redis = await open({ url: `redis://127.0.0.1:${proxy.port}`, commandTimeoutMs: 5000 });
    const script = defineScript('one', `return redis.call('STRLEN', KEYS[1])`, { isRepeatable: true });
    await redis.client.set('kept', 'abc');
    server.pause();
    onTestFinished(() => server.resume());
    const sent = Promise.all([redis.client.get('kept'), redis.runScript(script, ['kept'], [])]);
    // The commands leave in a later turn.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    proxy.cut();
    server.resume();
    expect(await sent).toEqual(['abc', 3]);
    expect(proxy.accepted).toBe(2);
  });

  it('connects anew when what was the master takes no writes any more, and tries again until one does', async () => {
    const redis = await open({ commandTimeoutMs: 5000 });
    const impatient = await open();
    const control = await openControl();
    await control.sendCommand(['REPLICAOF', '127.0.0.1', '1']);
    const waiting = redis.client.set('a', 'after');
    expect(await expectFailure(impatient.client.set('a', 'never'))).toBeLessThan(boundMs);
    await control.sendCommand(['REPLICAOF', 'NO', 'ONE']);
    expect(await waiting).toBe('OK');
    expect(await control.get('a')).toBe('after');
    expect(logged.some((line) => line.includes('read_only'))).toBe(true);
  });

  it('prints its password nowhere', async () => {
    const guarded = await startRedis({ settings: [['requirepass', 'right-one']] });
    onTestFinished(() => guarded.stop());
    const url = (password: string): string => guarded.url.replace('//', `//:${password}@`);
    const redis = await open({ url: url('right-one') });
    await redis.check();
    const failure: unknown = await open({ url: url('wrong-one'), connectTimeoutMs: 300 }).catch(
      (error: unknown) => error,
    );
    logger.error('test', {}, failure);
    const printed =
      inspect(failure, { depth: 10, showHidden: true }) + logged.join('\n') + inspect(redis, { depth: 10 });
    expect(printed).toContain('WRONGPASS');
    expect(printed).not.toMatch(/right-one|wrong-one/);
  });

  it('ends what waits when it is closed, and refuses afterwards', async () => {
    const redis = await open({ commandTimeoutMs: 30_000 });
    await server.kill();
    await vi.waitFor(() => expect(logged.some((line) => line.includes('connection_lost'))).toBe(true), {
      timeout: 20_000,
    });
    const waiting = expectFailure(redis.client.get('a'));
    await redis.close();
    await redis.close();
    expect(await waiting).toBeLessThan(20_000);
    await expectFailure(redis.client.get('a'));
    await server.restart();
  });
});
