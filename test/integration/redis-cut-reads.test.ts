import { expect, it, onTestFinished } from 'vitest';
import { openRedis } from '../../src/redis/redis-connection.ts';
import { createRedisEventLog } from '../../src/redis/redis-event-log.ts';
import { createRedisSessionStore } from '../../src/redis/redis-session-store.ts';
import { toRecord } from '../../src/sessions/session-store-bench.contract.ts';
import { startRedis } from '../redis-server.ts';
import { startTcpProxy } from '../tcp-proxy.ts';
import { createTestBox, createTestLog } from './redis-bench.ts';

it('reads a session, its values and its events though the connection breaks under it', async () => {
  const server = await startRedis();
  onTestFinished(() => server.stop());
  const proxy = await startTcpProxy(server.port);
  onTestFinished(() => proxy.close());
  const { logger } = createTestLog();
  const redis = await openRedis({ url: `redis://127.0.0.1:${proxy.port}`, logger });
  onTestFinished(() => redis.close());
  const shared = { redis, box: createTestBox(), logger };
  const store = createRedisSessionStore({ ...shared, idleTtlMs: 60_000, maxPerPrincipal: 10 });
  const log = createRedisEventLog(shared);
  const record = toRecord('s', Date.now());
  await store.create(record);
  await store.writeValue('s', 'kept', '1', 0);
  const priming = (await log.append('s', 'p', '')) ?? '';
  await log.append('s', 'p', 'one');

  server.pause();
  const read = Promise.all([store.load('s'), store.readValue('s', 'kept'), log.read('s', priming, 9)]);
  // The commands leave in a later turn.
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  proxy.cut();
  server.resume();
  expect(await read).toMatchObject([
    { id: 's' },
    { value: '1' },
    { kind: 'events', events: [{ data: 'one' }] },
  ]);
});
