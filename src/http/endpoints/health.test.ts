import { describe, expect, it } from 'vitest';
import type { EdgeLogger } from '../edge-logger.ts';
import type { FullReply, HttpRequest } from '../messages.ts';
import { answerHealth, createReadyHandler, type ReadyOptions } from './health.ts';

// The handlers look at nothing of it.
const request = {} as HttpRequest;

function createReady(options: Partial<ReadyOptions>): { ask(): Promise<FullReply>; failures: unknown[] } {
  const failures: unknown[] = [];
  const logger: EdgeLogger = {
    isEnabled: () => true,
    info: () => {},
    warn: () => {},
    error: (event, fields, error) => failures.push([event, fields['check'], error]),
  };
  const handler = createReadyHandler({ checks: {}, isStopping: () => false, logger, reuseMs: 0, ...options });
  return { ask: async () => (await handler(request)) as FullReply, failures };
}

describe('health', () => {
  it('answers 200 without asking anything', async () => {
    expect(await answerHealth(request)).toMatchObject({ status: 200, body: '{"status":"ok"}' });
  });
});

describe('ready', () => {
  it('answers 200 when every dependency can serve', async () => {
    const { ask } = createReady({ checks: { database: async () => {}, sessions: async () => 1 } });
    const reply = await ask();
    expect(reply.status).toBe(200);
    expect(JSON.parse(reply.body)).toEqual({ status: 'ready', checks: { database: 'ok', sessions: 'ok' } });
  });

  it('names the one that fails, and tells why only the log', async () => {
    const failure = new Error('password wrong for db.internal');
    const { ask, failures } = createReady({
      checks: {
        database: () => Promise.reject(failure),
        bus: () => {
          throw failure;
        },
        sessions: async () => {},
      },
    });
    const reply = await ask();
    expect(reply.status).toBe(503);
    expect(JSON.parse(reply.body)).toEqual({
      status: 'unready',
      checks: { database: 'failed', bus: 'failed', sessions: 'ok' },
    });
    expect(failures).toContainEqual(['readiness.check_failed', 'database', failure]);
  });

  it('waits for a dependency that hangs no longer than it may, and does not ask it again meanwhile', async () => {
    let asked = 0;
    const { ask } = createReady({
      timeoutMs: 10,
      checks: {
        database: () => {
          asked += 1;
          return new Promise(() => {});
        },
      },
    });
    for (let round = 0; round < 3; round += 1) {
      expect(JSON.parse((await ask()).body)).toEqual({ status: 'unready', checks: { database: 'timeout' } });
    }
    expect(asked).toBe(1);
  });

  it('asks once for many who ask at the same time, and again later', async () => {
    let asked = 0;
    let time = 0;
    const checks = { database: async () => (asked += 1) };
    const { ask } = createReady({ checks, reuseMs: 1000, now: () => time });
    await Promise.all([ask(), ask(), ask()]);
    time = 999;
    await ask();
    expect(asked).toBe(1);
    time = 1000;
    await ask();
    expect(asked).toBe(2);
  });

  it('answers 503 once the host stops', async () => {
    const { ask } = createReady({ isStopping: () => true });
    expect(await ask()).toMatchObject({ status: 503, body: '{"status":"stopping"}' });
  });
});
