/** The database goes away while people are signed in: their clients wait for it, and nobody is sent to sign in again. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type PostgresServer, startPostgres } from '../embedded-postgres.ts';
import { type MooringProcess, startMooring } from './mooring-process.ts';
import { createPerson, type Person } from './person.ts';
import { createSigningInClient, type SigningInClient, signingInKinds } from './signing-in-client.ts';

const patience = { timeout: 60_000, interval: 250 };

let postgres: PostgresServer;
let host: MooringProcess;
let person: Person;

beforeAll(async () => {
  postgres = await startPostgres();
  host = await startMooring({
    environment: {
      AUTH: 'oauth',
      DATABASE_URL: await postgres.createDatabase(),
      ENCRYPTION_KEY: 'ab'.repeat(32),
      ACCESS_TOKEN_TTL_SECONDS: '10',
    },
  });
  person = await createPerson(host);
});
afterAll(async () => {
  await person?.close();
  await host?.dispose();
  await postgres?.remove();
});

function countAnswers(status: number): number {
  return host.read().error.match(new RegExp(`"route":"/oauth/token","status":${status}`, 'g'))?.length ?? 0;
}

test('clients whose tokens end meanwhile are told to wait, and go on by themselves', async () => {
  const clients = await Promise.all(
    signingInKinds.map((kind) => createSigningInClient(kind, host.url, person.allow)),
  );
  for (const client of clients) await client.connect();
  await postgres.stop();
  const call = (client: SigningInClient): Promise<unknown> => client.callTool('list_notes', {});
  // Each asks until its token has ended and it has asked for another in vain.
  for (const [index, client] of clients.entries()) {
    await vi.waitFor(async () => {
      await call(client).catch(() => undefined);
      expect(countAnswers(503)).toBeGreaterThan(index);
    }, patience);
  }
  await postgres.restart();
  for (const client of clients) {
    await vi.waitFor(() => call(client), patience);
    expect(client.visits).toHaveLength(1);
    await client.close();
  }
  expect(countAnswers(500)).toBe(0);
});
