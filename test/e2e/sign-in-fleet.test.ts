/** Signing in at one instance of several: what is ended at another one ends here, and restarts end nothing. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { findFreePort, startRedis, type RedisServer } from '../redis-server.ts';
import { type MooringProcess, startMooring } from './mooring-process.ts';
import { createSigningInClient, type SigningInClient } from './signing-in-client.ts';
import { createPerson, type Person } from './person.ts';

const patience = { timeout: 20_000, interval: 50 };

let redis: RedisServer;
let instances: MooringProcess[];
/** Of each instance, where it listens itself. */
let origins: string[];
let person: Person;
let client: SigningInClient;

beforeAll(async () => {
  redis = await startRedis();
  const ports = [await findFreePort(), await findFreePort()];
  origins = ports.map((port) => `http://127.0.0.1:${port}`);
  const environment = {
    AUTH: 'oauth',
    PUBLIC_URL: origins[0] ?? '',
    REDIS_URL: redis.url,
    ENCRYPTION_KEY: randomBytes(32).toString('hex'),
  };
  const first = await startMooring({ environment: { ...environment, PORT: String(ports[0]) } });
  const second = await startMooring({
    dataDir: first.dataDir,
    environment: { ...environment, PORT: String(ports[1]) },
  });
  instances = [first, second];
  person = await createPerson(first);
  client = await createSigningInClient('SDK v2, legacy', first.url, person.allow);
  await client.connect();
});
afterAll(async () => {
  await client?.close();
  await person?.close();
  for (const each of [...(instances ?? [])].reverse()) await each.dispose();
  await redis?.stop();
});

test('a token revoked at one instance is refused at the other, and its open stream is cut', async () => {
  const token = client.tokens?.access_token ?? '';
  const session = await initialize(token);
  const stream = await fetch(`${origins[0]}/mcp`, {
    headers: {
      Authorization: `Bearer ${token}`,
      Accept: 'text/event-stream',
      'Mcp-Session-Id': session,
      'MCP-Protocol-Version': '2025-11-25',
    },
  });
  expect(stream.status).toBe(200);
  const reply = await fetch(`${origins[1]}/oauth/revoke`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ token, client_id: client.clientId, token_type_hint: 'access_token' }),
  });
  expect(reply.status).toBe(200);
  // Ends by itself, or this test does not.
  await stream.text();
  await vi.waitFor(async () => expect((await ask(token)).status).toBe(401), patience);
});

test('whoever lost a token goes on with the next one, without the browser', async () => {
  await client.callTool('list_notes', {});
  expect(client.visits).toHaveLength(1);
});

function ask(token: string): Promise<Response> {
  const params = {
    protocolVersion: '2025-11-25',
    clientInfo: { name: 'test', version: '1' },
    capabilities: {},
  };
  return fetch(`${origins[0]}/mcp`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${token}`,
      'Content-Type': 'application/json',
      Accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }),
  });
}

async function initialize(token: string): Promise<string> {
  const reply = await ask(token);
  expect(reply.status).toBe(200);
  return reply.headers.get('mcp-session-id') ?? '';
}
