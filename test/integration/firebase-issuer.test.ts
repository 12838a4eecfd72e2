import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type JWTPayload, SignJWT } from 'jose';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createIssuerKey, type IssuerKey } from '../../src/auth/issuers/test-issuer.contract.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { createHost, type Host } from '../../src/host.ts';
import { defineServer } from '../../src/mcp/server-definition.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { type IssuerServer, startIssuerServer } from '../issuer-server.ts';

const origin = 'https://mcp.example.com';
const project = 'harbour-1';
const patience = { timeout: 30_000, interval: 200 };
/** The least between two questions for keys that are not known. */
const cooldownMs = 5000;
/** Past the age at which a set of keys is fetched anew before it is used, and within the life of a token. */
const staleMs = 11 * 60_000;
const logger = createLogger({ level: 'silent' });

let key: IssuerKey;
let server: IssuerServer;
let issuer: string;
let host: Host;
let dataDir: string;
let clock: { aheadMs: number };

beforeEach(async () => {
  clock = { aheadMs: 0 };
  const now = Date.now;
  vi.spyOn(Date, 'now').mockImplementation(() => now() + clock.aheadMs);
  key = await createIssuerKey('k1', 'RS256');
  server = await startIssuerServer([key.jwk]);
  // As https://securetoken.google.com/<project>: one server, an issuer for each project, the same keys for all.
  issuer = `${server.url}/${project}`;
  dataDir = mkdtempSync(join(tmpdir(), 'mooring-firebase-'));
  host = await openHost();
});

afterEach(async () => {
  await host.close();
  await server.close();
  vi.restoreAllMocks();
  rmSync(dataDir, { recursive: true, force: true });
});

async function openHost(): Promise<Host> {
  const records = [
    { name: 'app', preset: 'firebase', issuer, audience: project, jwksUri: `${server.url}/jwks` },
  ];
  const loaded = await loadConfig({
    environment: {
      PUBLIC_URL: origin,
      TRUSTED_ISSUERS: JSON.stringify(records),
      SHUTDOWN_DELAY_MS: '0',
      SHUTDOWN_GRACE_MS: '1000',
      DATA_DIR: dataDir,
    },
    workingDir: dataDir,
  });
  const opened = await createHost({
    server: defineServer({ name: 'test', version: '1.0.0', tools: [] }),
    ...loaded,
    logger,
  });
  // The first request makes the first tenant.
  await opened.fetch(new Request(`${origin}/health`, { headers: { host: 'mcp.example.com' } }));
  const [tenant] = (await opened.identity?.tenants.list(1)) ?? [];
  await opened.identity?.userService.create({
    issuer,
    subject: 'firebase-uid-1',
    membership: { tenantId: tenant?.id ?? '', role: 'merchant', scopes: ['notes:read'] },
  });
  return opened;
}

/** As Firebase's ID tokens are. @param claims other than theirs */
function signIdentity(claims: JWTPayload = {}, { privateKey, jwk } = key): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({
    iss: issuer,
    aud: project,
    auth_time: now - 60,
    user_id: 'firebase-uid-1',
    sub: 'firebase-uid-1',
    iat: now,
    exp: now + 3600,
    email: 'ada@example.com',
    email_verified: true,
    firebase: { identities: { email: ['ada@example.com'] }, sign_in_provider: 'password' },
    ...claims,
  })
    .setProtectedHeader({ alg: 'RS256', kid: jwk.kid ?? '', typ: 'JWT' })
    .sign(privateKey);
}

function post(path: string, body: object, token?: string): Promise<Response> {
  return host.fetch(
    new Request(`${origin}${path}`, {
      method: 'POST',
      headers: {
        host: 'mcp.example.com',
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
    }),
  );
}

function exchange(firebaseIdToken: string): Promise<Response> {
  return post('/mcp/token', { firebaseIdToken });
}

async function exchangeStatus(firebaseIdToken: string): Promise<number> {
  return (await exchange(firebaseIdToken)).status;
}

async function openStatus(token: string): Promise<number> {
  const params = { protocolVersion: '2025-11-25', clientInfo: { name: 'c', version: '1' }, capabilities: {} };
  return (await post('/mcp', { jsonrpc: '2.0', id: 1, method: 'initialize', params }, token)).status;
}

async function expectUnavailable(firebaseIdToken: string): Promise<void> {
  const reply = await exchange(firebaseIdToken);
  expect(reply.status).toBe(503);
  expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(0);
}

test('an ID token of the project is exchanged for an access token, and is none itself', async () => {
  const idToken = await signIdentity();
  const reply = await exchange(idToken);
  expect(reply.status).toBe(200);
  const { accessToken } = (await reply.json()) as { readonly accessToken: string };
  expect(await openStatus(accessToken)).toBe(200);
  expect(await openStatus(idToken)).toBe(401);
});

test('an ID token of another project is refused, though the same keys signed it', async () => {
  const other = { iss: `${server.url}/other-1`, aud: 'other-1' };
  expect(await exchangeStatus(await signIdentity(other))).toBe(401);
  expect(await exchangeStatus(await signIdentity({ aud: other.aud }))).toBe(401);
  expect(await exchangeStatus(await signIdentity({ iss: other.iss }))).toBe(401);
  expect(await exchangeStatus(await signIdentity())).toBe(200);
});

test('a new key is taken at once, and an old one while it is published', async () => {
  expect(await exchangeStatus(await signIdentity())).toBe(200);
  const second = await createIssuerKey('k2', 'RS256');
  server.publish([key.jwk, second.jwk]);
  expect(await exchangeStatus(await signIdentity({}, second))).toBe(200);
  expect(await exchangeStatus(await signIdentity())).toBe(200);
  const third = await createIssuerKey('k3', 'RS256');
  server.publish([second.jwk, third.jwk]);
  clock.aheadMs += cooldownMs;
  expect(await exchangeStatus(await signIdentity({}, third))).toBe(200);
  expect(await exchangeStatus(await signIdentity())).toBe(401);
});

test('without its keys an exchange is 503 until they are back; keys that were had serve however old', async () => {
  server.isDown = true;
  await expectUnavailable(await signIdentity());
  server.isDown = false;
  const token = await signIdentity();
  await vi.waitFor(async () => expect(await exchangeStatus(token)).toBe(200), patience);
  server.isDown = true;
  expect(await exchangeStatus(await signIdentity())).toBe(200);
  const { fetches } = server;
  clock.aheadMs = staleMs;
  expect(await exchangeStatus(await signIdentity())).toBe(200);
  expect(server.fetches).toBe(fetches + 1);
  // Nobody can judge a key that is not known.
  await expectUnavailable(await signIdentity({}, await createIssuerKey('k2', 'RS256')));
});
