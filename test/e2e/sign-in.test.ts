/** `mooring start --auth oauth` with nothing else configured: clients that know a URL get in, through a real browser. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type MooringProcess, runMooring, startMooring } from './mooring-process.ts';
import { createPerson, type Person } from './person.ts';
import { createSigningInClient, type SigningInClient, signingInKinds } from './signing-in-client.ts';

const patience = { timeout: 40_000, interval: 200 };

let host: MooringProcess;
let person: Person;

beforeAll(async () => {
  host = await startMooring({
    environment: { AUTH: 'oauth', ACCESS_TOKEN_TTL_SECONDS: '10', LOG_LEVEL: 'trace' },
  });
  person = await createPerson(host);
});
afterAll(async () => {
  await person?.close();
  await host?.dispose();
});

describe.each(signingInKinds)('%s', (kind) => {
  let client: SigningInClient;
  afterAll(() => client?.close());

  test('signs in with nothing but the URL, and asks for no more than reading', async () => {
    client = await createSigningInClient(kind, host.url, person.allow);
    await client.connect();
    expect(client.visits).toHaveLength(1);
    expect(client.visits[0]?.searchParams.get('scope')?.split(' ')).not.toContain('notes:write');
    expect(await client.callTool('list_notes', {})).toMatchObject({ content: expect.anything() });
  });

  test('is asked for more when a tool needs more', async () => {
    await client.callTool('add_note', { title: 'from afar', text: 'signed in' });
    expect(client.visits).toHaveLength(2);
    expect(client.visits[1]?.searchParams.get('scope')?.split(' ')).toContain('notes:write');
  });

  test('outlives its access token without the user', async () => {
    const before = client.tokens?.access_token;
    await vi.waitFor(async () => {
      await client.callTool('list_notes', {});
      expect(client.tokens?.access_token).not.toBe(before);
    }, patience);
    expect(client.visits).toHaveLength(2);
  });
});

test('who is switched off is out, and no log of any level has a secret', async () => {
  const client = await createSigningInClient('SDK v1', host.url, person.allow);
  await client.connect();
  const token = client.tokens?.access_token ?? '';
  const ask = (): Promise<Response> =>
    fetch(host.url, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${token}`,
        'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream',
        'MCP-Protocol-Version': '2025-11-25',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
    });
  expect((await ask()).status).toBe(400);
  const done = await runMooring(['users', 'deactivate', 'admin'], { DATA_DIR: host.dataDir });
  expect(done.code).toBe(0);
  await vi.waitFor(async () => expect((await ask()).status).toBe(401), patience);
  const { out, error } = host.read();
  expect(error + out).toContain('"level":"info"');
  // Nothing but the log is there: whoever collects it reads an object a line.
  for (const line of error.trim().split('\n')) expect(() => JSON.parse(line) as unknown).not.toThrow();
  for (const secret of [token, client.tokens?.refresh_token ?? '?', person.password])
    expect(`${error}${out.replace(/password {2}\S+/, '')}`).not.toContain(secret);
  await client.close();
});
