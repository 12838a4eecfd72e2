import { expect, it, onTestFinished } from 'vitest';
import { openRedis } from '../../src/redis/redis-connection.ts';
import { createRedisSessionStore } from '../../src/redis/redis-session-store.ts';
import { toRecord } from '../../src/sessions/session-store-bench.contract.ts';
import { startRedis } from '../redis-server.ts';
import { startTcpProxy } from '../tcp-proxy.ts';
import { createTestBox, createTestLog } from './redis-bench.ts';

it('says that it ended a session though the connection broke under it, before or after Redis did it', async () => {
  const server = await startRedis();
  onTestFinished(() => server.stop());
  const proxy = await startTcpProxy(server.port);
  onTestFinished(() => proxy.close());
  const { logger } = createTestLog();
  const redis = await openRedis({ url: `redis://127.0.0.1:${proxy.port}`, logger });
  onTestFinished(() => redis.close());
  const shared = { redis, box: createTestBox(), logger };
  const store = createRedisSessionStore({ ...shared, idleTtlMs: 60_000, maxPerPrincipal: 100 });
  for (let round = 0; round < 20; round += 1) {
    const id = `s${round}`;
    await store.create(toRecord(id, Date.now()));
    server.pause();
    const ended = store.end(id);
    // The command leaves in a later turn; odd ones are cut before that.
    if (round % 2 === 0) await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    proxy.cut();
    server.resume();
    expect(await ended).toBe(true);
    expect(await store.load(id)).toBeUndefined();
    // Another's mark is not its own.
    expect(await store.end(id)).toBe(false);
  }
});
