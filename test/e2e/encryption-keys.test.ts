/** The change of the encryption key as docs/operations/encryption-keys.md tells it, step by step, under live traffic. */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type RedisServer, startRedis } from '../redis-server.ts';
import { type Fleet, startFleet } from './fleet.ts';
import { createFolder, runMooring } from './mooring-process.ts';
import { callModern, collectEvents, getStream, initialize, postLegacy, readMessage } from './wire.ts';
import { toCount, toSteps } from './workbench.ts';

const waitMs = { timeout: 30_000, interval: 50 };
const oldKey = randomBytes(32).toString('hex');
const newKey = randomBytes(32).toString('hex');
const folder = createFolder();
let redis: RedisServer;
let fleet: Fleet;
/** What the instances that ended had logged. */
const logs: string[] = [];

beforeAll(async () => {
  redis = await startRedis();
  fleet = await startFleet({
    redisUrl: redis.url,
    count: 2,
    environment: { ENCRYPTION_KEY: oldKey, SSE_RETRY_MS: '50' },
  });
});
afterAll(async () => {
  await fleet?.stop();
  await redis?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function deploy(encryptionKey: string): Promise<void> {
  for (const [index, instance] of fleet.instances.entries()) {
    instance.signal('SIGTERM');
    await fleet.replace(index, { ENCRYPTION_KEY: encryptionKey });
    logs.push((await instance.exited).error);
  }
}

function rekey(encryptionKey: string): Promise<{ code: number | null; out: string; error: string }> {
  const settings = { REDIS_URL: redis.url, ENCRYPTION_KEY: encryptionKey, NODE_ENV: 'production' };
  return runMooring(['sessions', 'rekey', '--json'], { ...settings, LOG_LEVEL: 'warn' });
}

/** A session that is used all the while: how many calls were answered, and how many may or may not have run. */
interface Usage {
  readonly session: string;
  counted: number;
  unknown: number;
  refused: string[];
}

async function openSession(): Promise<Usage> {
  return { session: await initialize(fleet), counted: 0, unknown: 0, refused: [] };
}

async function use(usage: Usage, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    try {
      const params = { name: 'add_to', arguments: { key: 'used' } };
      const reply = await postLegacy(fleet, usage.session, { id: 1, method: 'tools/call', params });
      // 502 and 503 come from an instance that stops.
      if (reply.status === 200 && (await readMessage(reply)).result !== undefined) usage.counted += 1;
      else if (reply.status < 500) usage.refused.push(`${reply.status}`);
      else usage.unknown += 1;
    } catch {
      usage.unknown += 1;
    }
    await sleep(20);
  }
}

/** Begins a call whose stream is cut after 3 of its 6 steps. @returns its last event, and what lets it go on */
async function beginCall(session: string): Promise<{ lastEventId: string; open: () => void }> {
  const call = toCount(folder, 6, 3);
  const cut = new AbortController();
  const message = { id: 7, method: 'tools/call', params: call.args };
  const { events, ended } = collectEvents(await postLegacy(fleet, session, message, cut.signal));
  await vi.waitFor(() => expect(toSteps(events)).toEqual([1, 2, 3]), waitMs);
  cut.abort();
  await ended;
  return { lastEventId: events[0]?.id ?? '', open: call.open };
}

async function resume(session: string, lastEventId: string): Promise<unknown[]> {
  const { events, ended } = collectEvents(await getStream(fleet, session, { lastEventId }));
  expect(await ended).toBe('closed');
  return toSteps(events);
}

test(
  'sessions, their values and their streams go on while the key is changed',
  { timeout: 180_000 },
  async () => {
    const first = await openSession();
    const early = await beginCall(first.session);
    early.open();
    let isOver = false;
    const usages = await Promise.all(Array.from({ length: 4 }, openSession));
    const using = Promise.all(usages.map((usage) => use(usage, () => isOver)));

    await deploy(`${oldKey},${newKey}`);
    await deploy(`${newKey},${oldKey}`);

    // Begun before the rekey, on instances that seal with the new key; heard and resumed after it.
    const [listening] = usages;
    const session = listening?.session ?? '';
    const running = await beginCall(session);
    const standing = collectEvents(await getStream(fleet, session));
    await vi.waitFor(() => expect(standing.events).toHaveLength(1), waitMs);
    const summary = await rekey(`${newKey},${oldKey}`);
    expect(summary.error).not.toMatch(/tampered|unhandled/);
    expect([summary.code, JSON.parse(summary.out)]).toEqual([
      0,
      expect.objectContaining({ isComplete: true, unreadable: 0, messagesLeft: 0 }),
    ]);
    expect((JSON.parse(summary.out) as { current: { records: number } }).current.records).toBe(5);
    expect(summary.out + summary.error).not.toContain(newKey);
    await callModern(fleet, 'change');
    await vi.waitFor(() => expect(standing.events.length).toBeGreaterThan(1), waitMs);
    running.open();
    expect(await resume(session, running.lastEventId)).toEqual([1, 2, 3, 4, 5, 6, 'result']);

    await deploy(newKey);
    const counted = usages.map((usage) => usage.counted);
    await vi.waitFor(
      () => expect(usages.every((usage, index) => usage.counted > (counted[index] ?? 0) + 3)).toBe(true),
      waitMs,
    );
    isOver = true;
    await using;

    expect(await resume(first.session, early.lastEventId)).toEqual([1, 2, 3, 4, 5, 6, 'result']);
    for (const usage of [first, ...usages]) {
      const params = { name: 'add_to', arguments: { key: 'used' } };
      const reply = await postLegacy(fleet, usage.session, { id: 1, method: 'tools/call', params });
      const { result } = await readMessage(reply);
      const total = Number((result?.['content'] as readonly { text: string }[] | undefined)?.[0]?.text);
      expect(total).toBeGreaterThan(usage.counted);
      expect(total).toBeLessThanOrEqual(usage.counted + usage.unknown + 1);
      expect(usage.refused).toEqual([]);
    }
    const everything = [...logs, ...fleet.instances.map((instance) => instance.read().error)].join('\n');
    expect(everything).not.toMatch(/tampered|request\.failed|mcp\.request_failed/);
  },
);

test('a key that is missing is told before it is too late, and nothing is changed', async () => {
  const other = randomBytes(32).toString('hex');
  const refused = await rekey(other);
  expect(refused.code).toBe(1);
  expect(JSON.parse(refused.out)).toMatchObject({ resealed: { records: 0 } });
  expect(refused.error).toMatch(/texts open with none of the keys in ENCRYPTION_KEY/);
  expect((await rekey(newKey)).code).toBe(0);
});

test('without Redis there is nothing to rekey, which is said', async () => {
  const refused = await runMooring(['sessions', 'rekey'], { ENCRYPTION_KEY: newKey });
  expect([refused.code, refused.error]).toEqual([1, expect.stringContaining('REDIS_URL')]);
});
