import { createClient, type RedisClientType } from 'redis';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { createSealedBox, toSealingKey, type SealedBox } from '../../src/mcp/sealed-box.ts';
import { createBusEnvelope } from '../../src/redis/bus-envelope.ts';
import { openRedis, type RedisConnection } from '../../src/redis/redis-connection.ts';
import { putIntoInbox } from '../../src/redis/redis-inbox.ts';
import { createRedisMessageBus } from '../../src/redis/redis-message-bus.ts';
import type { MessageBus } from '../../src/sessions/message-bus.ts';
import { describeMessageBus } from '../../src/sessions/message-bus.contract.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { findRedis, startRedis, type RedisServer, type SharedRedis } from '../redis-server.ts';

const logger = createLogger({ level: 'silent' });
const key = 'a1'.repeat(32);
const closers: (() => Promise<void>)[] = [];

interface Door {
  readonly bus: MessageBus;
  readonly errors: unknown[];
  readonly connection: RedisConnection;
  readonly box: SealedBox;
}

async function open(
  redis: { readonly url: string; readonly prefix?: string },
  options: {
    readonly onError?: (error: unknown) => void;
    readonly pollMs?: number;
    readonly key?: string;
  } = {},
): Promise<Door> {
  const errors: unknown[] = [];
  const connection = await openRedis({ ...redis, logger, commandTimeoutMs: 1000 });
  const box = createSealedBox({ keys: [toSealingKey(options.key ?? key)] });
  const bus = await createRedisMessageBus({
    redis: connection,
    box,
    onError: options.onError ?? ((error) => errors.push(error)),
    // Not at all, unless a test is about it.
    pollMs: options.pollMs ?? 3_600_000,
  });
  closers.push(async () => {
    await bus.close();
    await connection.close();
  });
  return { bus, errors, connection, box };
}

async function closeAll(): Promise<void> {
  for (const close of closers.splice(0)) await close();
}

describe('on a Redis that may be shared', () => {
  let shared: SharedRedis;
  beforeAll(async () => {
    shared = await findRedis();
  });
  afterAll(async () => {
    await closeAll();
    await shared.stop();
  });

  describeMessageBus('a Redis message bus', async ({ onError }) => {
    const first = await open(shared, { onError });
    const last = await open(shared, { onError });
    return [first.bus, last.bus];
  });
});

describe('a Redis message bus', () => {
  let server: RedisServer;
  let control: RedisClientType;

  /** Cuts the connections that receive messages. */
  async function killSubscribers(): Promise<void> {
    await control.sendCommand(['CLIENT', 'KILL', 'TYPE', 'PUBSUB']);
  }

  async function openTwo(options: Parameters<typeof open>[1] = {}): Promise<{ near: Door; far: Door }> {
    return { near: await open(server, options), far: await open(server, options) };
  }

  /** Publishes until Redis takes it, as a client does whose POST was answered with 503. */
  async function insist(bus: MessageBus, topic: string, message: string): Promise<void> {
    await vi.waitFor(() => bus.publish(topic, message), { timeout: 20_000 });
  }

  beforeAll(async () => {
    server = await startRedis({ isPersistent: true });
    control = createClient({ url: server.url }) as RedisClientType;
    control.on('error', () => undefined);
    await control.connect();
  });
  afterEach(async () => {
    await closeAll();
    await control.flushAll();
  });
  afterAll(async () => {
    control.destroy();
    await server.stop();
  });

  it('brings messages to an instance once, in order, the longest too, and leaves none behind', async () => {
    const { near, far } = await openTwo();
    const received: string[] = [];
    await far.bus.subscribe('instance.far', (message) => received.push(message));
    const sent = [
      ...Array.from({ length: 200 }, (_, index) => `${index}`),
      '€'.repeat(349_525),
      '😀'.repeat(262_144),
    ];
    await Promise.all(sent.map((message) => near.bus.publish('instance.far', message)));
    await vi.waitFor(() => expect(received).toHaveLength(sent.length), { timeout: 20_000 });
    expect(received).toEqual(sent);
    await vi.waitFor(async () => expect(await control.xLen('mcp:inbox:{instance.far}')).toBe(0), {
      timeout: 20_000,
    });
    expect(far.errors).toEqual([]);
  });

  it('lets nobody who reads Redis read what users wrote, nor exchange it', async () => {
    const { near, far } = await openTwo();
    const heard: string[] = [];
    const spy = control.duplicate();
    await spy.connect();
    onTestFinished(() => spy.destroy());
    await spy.pSubscribe('*', (message) => heard.push(message));
    const received: string[] = [];
    await far.bus.subscribe('session.a', (message) => received.push(message));
    await near.bus.publish('session.a', 'private words');
    await near.bus.publish('instance.b', 'private words');
    await vi.waitFor(() => expect(received).toEqual(['private words']), { timeout: 20_000 });
    const entries = await control.xRange('mcp:inbox:{instance.b}', '-', '+');
    expect(entries).toHaveLength(1);
    expect(JSON.stringify([heard, entries])).not.toContain('private');
    expect(await control.pTTL('mcp:inbox:{instance.b}')).toBeGreaterThan(0);
    await far.bus.subscribe('session.b', (message) => received.push(message));
    await control.publish('mcp:bus:{session.b}', heard[0] ?? '');
    await control.publish('mcp:bus:{session.b}', 'forged');
    await vi.waitFor(() => expect(far.errors).toHaveLength(2), { timeout: 20_000 });
    expect(received).toHaveLength(1);
  });

  it('tells of messages sealed with a key that it does not have', async () => {
    const near = await open(server);
    const stranger = await open(server, { key: 'b2'.repeat(32) });
    await stranger.bus.subscribe('instance.x', () => expect.unreachable());
    await near.bus.publish('instance.x', 'a');
    await vi.waitFor(() => expect(stranger.errors).toHaveLength(1), { timeout: 20_000 });
  });

  it('loses no message to an instance whose connection is cut again and again', async () => {
    const { near, far } = await openTwo();
    const received: string[] = [];
    await far.bus.subscribe('instance.far', (message) => received.push(message));
    const sent = Array.from({ length: 60 }, (_, index) => `${index}`);
    for (const message of sent) {
      if (Number(message) % 10 === 5) await killSubscribers();
      await near.bus.publish('instance.far', message);
    }
    await vi.waitFor(() => expect(received).toHaveLength(sent.length), { timeout: 20_000 });
    expect(received).toEqual(sent);
  });

  it('brings a message to an instance even if word of it was lost, and once if it was sent twice', async () => {
    const { bus, box, connection } = await open(server, { pollMs: 100 });
    const received: string[] = [];
    await bus.subscribe('instance.far', (message) => received.push(message));
    const topic = 'instance.far';
    const text = createBusEnvelope(box).wrap(topic, { id: '1', message: 'a' });
    await putIntoInbox(connection, { topic, channel: 'nowhere', text });
    await vi.waitFor(() => expect(received).toEqual(['a']), { timeout: 20_000 });
    // Sent again by one who does not know that it arrived.
    await putIntoInbox(connection, { topic, channel: 'mcp:bus:{instance.far}', text });
    await bus.publish('instance.far', 'b');
    await vi.waitFor(() => expect(received).toEqual(['a', 'b']), { timeout: 20_000 });
  });

  it('receives by itself again after its connection was cut, and says that it may have missed something', async () => {
    const { near, far } = await openTwo();
    const received: string[] = [];
    let gaps = 0;
    far.bus.onGap(() => (gaps += 1));
    await far.bus.subscribe('changes', (message) => received.push(message));
    await far.bus.subscribe('session.a', (message) => received.push(message));
    await killSubscribers();
    await vi.waitFor(() => expect(gaps).toBe(1), { timeout: 20_000 });
    await near.bus.publish('changes', '1');
    await near.bus.publish('session.a', '2');
    await vi.waitFor(() => expect(received.toSorted()).toEqual(['1', '2']), { timeout: 20_000 });
  });

  it('carries on after Redis restarted, with what its inboxes held', async () => {
    const { near, far } = await openTwo();
    const received: string[] = [];
    await far.bus.subscribe('instance.far', (message) => received.push(message));
    await far.bus.subscribe('changes', (message) => received.push(message));
    await near.bus.publish('instance.far', 'before');
    await server.kill();
    await expect(near.bus.publish('changes', 'lost')).rejects.toThrow('Redis');
    await expect(near.bus.check()).rejects.toThrow('Redis');
    await server.restart();
    await insist(near.bus, 'instance.far', 'after');
    await far.bus.check();
    await vi.waitFor(() => expect(received).toEqual(['before', 'after']), { timeout: 20_000 });
    await insist(near.bus, 'changes', 'carried');
    await vi.waitFor(() => expect(received).toContain('carried'), { timeout: 20_000 });
  });

  it('hangs nowhere while Redis is paused, and brings afterwards what it took', async () => {
    const { near, far } = await openTwo();
    const received: string[] = [];
    await far.bus.subscribe('instance.far', (message) => received.push(message));
    server.pause();
    onTestFinished(() => server.resume());
    const startedAt = performance.now();
    const outcomes = await Promise.allSettled([
      near.bus.publish('instance.far', 'unsure'),
      near.bus.publish('changes', 'unsure'),
      near.bus.check(),
      far.bus.subscribe('session.new', () => undefined),
    ]);
    expect(performance.now() - startedAt).toBeLessThan(15_000);
    expect(outcomes.map(({ status }) => status)).toEqual(Array.from({ length: 4 }, () => 'rejected'));
    server.resume();
    // Each attempt is a message of its own: one that was refused in time may have been taken nevertheless.
    let attempts = 0;
    await vi.waitFor(() => near.bus.publish('instance.far', `sure ${(attempts += 1)}`), { timeout: 30_000 });
    await vi.waitFor(() => expect(received).toContain(`sure ${attempts}`), { timeout: 30_000 });
    expect(received).toEqual([...new Set(received)]);
    const late: string[] = [];
    await far.bus.subscribe('session.new', (message) => late.push(message));
    await near.bus.publish('session.new', 'heard');
    await vi.waitFor(() => expect(late).toEqual(['heard']), { timeout: 20_000 });
  });

  it('keeps Redis free of subscriptions that nobody has any more, also those ended while it was away', async () => {
    const { far } = await openTwo();
    const channels = (): Promise<unknown> => control.sendCommand(['PUBSUB', 'CHANNELS', 'mcp:*']);
    const ends = await Promise.all(['a', 'b', 'a'].map((topic) => far.bus.subscribe(topic, () => undefined)));
    await ends[0]?.();
    expect(await channels()).toHaveLength(2);
    await ends[1]?.();
    expect(await channels()).toEqual(['mcp:bus:{a}']);
    await server.kill();
    await ends[2]?.();
    await server.restart();
    await vi.waitFor(() => far.bus.check(), { timeout: 20_000 });
    await vi.waitFor(async () => expect(await channels()).toEqual([]), { timeout: 20_000 });
  });
});
