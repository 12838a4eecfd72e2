/** The host on PostgreSQL, as in production: two instances on one database, and a database that goes away. */
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type PostgresServer, startPostgres } from '../embedded-postgres.ts';
import { type MooringProcess, runMooring, startMooring } from './mooring-process.ts';
import { postModern } from './wire.ts';

const waitMs = { timeout: 20_000, interval: 50 };
let postgres: PostgresServer;
const servers: MooringProcess[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.dispose()));
});
afterAll(async () => {
  await postgres.remove();
});

function toEnvironment(databaseUrl: string): Record<string, string> {
  return {
    DATABASE_URL: databaseUrl,
    NODE_ENV: 'production',
    ENCRYPTION_KEY: randomBytes(32).toString('hex'),
  };
}

async function start(environment: Record<string, string>): Promise<MooringProcess> {
  const server = await startMooring({ environment });
  servers.push(server);
  return server;
}

/** The status of a call with a key. */
async function callWith(server: MooringProcess, key: string): Promise<number> {
  return (await postModern({ url: server.url, key }, 'tools/list', {})).status;
}

describe('two instances on one PostgreSQL database', () => {
  test('started at once make one tenant and one key, which both accept', async () => {
    const environment = toEnvironment(await postgres.createDatabase());
    const both = await Promise.all([start(environment), start(environment)]);
    const keys = both.map(({ key }) => key).filter((key) => key !== '');
    expect(keys).toHaveLength(1);
    const [key = ''] = keys;
    for (const server of both) expect(await callWith(server, key)).toBe(200);
  });

  test('a key revoked on the command line is refused by both', async () => {
    const environment = toEnvironment(await postgres.createDatabase());
    const first = await start(environment);
    const second = await start(environment);
    const minted = await runMooring(['keys', 'create', '--name', 'short', '--json'], environment);
    const { id, key } = JSON.parse(minted.out) as { readonly id: string; readonly key: string };
    for (const server of [first, second]) expect(await callWith(server, key)).toBe(200);
    expect(await runMooring(['keys', 'revoke', id], environment)).toMatchObject({ code: 0 });
    await vi.waitFor(async () => {
      for (const server of [first, second]) expect(await callWith(server, key)).toBe(401);
    }, waitMs);
    expect(await callWith(second, first.key)).toBe(200);
  });
});

test('a database that is gone makes the host unready and unknown keys unanswerable, and nothing worse', async () => {
  const environment = toEnvironment(await postgres.createDatabase());
  const server = await start(environment);
  expect(await callWith(server, server.key)).toBe(200);
  await postgres.stop();
  try {
    await vi.waitFor(async () => expect((await fetch(`${server.origin}/ready`)).status).toBe(503), waitMs);
    expect((await fetch(`${server.origin}/health`)).status).toBe(200);
    // Never 401: that the key cannot be looked up is not the caller's fault.
    const unknown = `mooring_mcp_${'0'.repeat(64)}`;
    const reply = await postModern({ url: server.url, key: unknown }, 'tools/list', {});
    expect(reply.status).toBe(503);
    expect(reply.headers.get('retry-after')).not.toBeNull();
  } finally {
    await postgres.restart();
  }
  await vi.waitFor(async () => expect((await fetch(`${server.origin}/ready`)).status).toBe(200), waitMs);
  expect(await callWith(server, server.key)).toBe(200);
});
