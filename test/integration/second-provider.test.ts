import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { createHost, type Host } from '../../src/host.ts';
import { defineServer, defineTool } from '../../src/mcp/server-definition.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { createSigningInClient } from '../e2e/signing-in-client.ts';
import { findFreePort } from '../redis-server.ts';
import {
  FormBrowser,
  type SecondProvider,
  signInAtProvider,
  startSecondProvider,
} from '../second-provider.ts';

const patience = { timeout: 30_000, interval: 200 };
const logger = createLogger({ level: 'silent' });
const otherResource = 'https://other.example/mcp';
/** Past the age at which a set of keys is fetched anew before it is used, and within the life of a token. */
const staleMs = 11 * 60_000;

let port: number;
let origin: string;
let resource: string;
let provider: SecondProvider;
let host: Host;

beforeAll(async () => {
  port = await findFreePort();
  origin = `http://127.0.0.1:${port}`;
  resource = `${origin}/mcp`;
  provider = await startSecondProvider({ resources: [resource, otherResource] });
});

beforeEach(async () => {
  host = await openHost();
});

afterEach(async () => {
  vi.restoreAllMocks();
  await provider.restart();
});

afterAll(() => provider.stop());

/** A host of its own; the provider is all that it shares with others. */
async function openHost(): Promise<Host> {
  const dataDir = mkdtempSync(join(tmpdir(), 'mooring-second-'));
  const records = [{ name: 'second', issuer: provider.issuer, audience: resource, tenantId: 'harbour' }];
  const loaded = await loadConfig({
    environment: {
      PORT: String(port),
      PUBLIC_URL: origin,
      TRUSTED_ISSUERS: JSON.stringify(records),
      SHUTDOWN_DELAY_MS: '0',
      SHUTDOWN_GRACE_MS: '1000',
      DATA_DIR: dataDir,
    },
    workingDir: dataDir,
  });
  const whoAmI = defineTool({
    name: 'who_am_i',
    description: 'Tells who calls.',
    scopes: ['notes:read'],
    handler: (_input, { principal }) => `${principal.subject} of ${principal.activeTenantId}`,
  });
  const opened = await createHost({
    server: defineServer({ name: 'test', version: '1.0.0', baseScopes: ['notes:read'], tools: [whoAmI] }),
    ...loaded,
    logger,
  });
  onTestFinished(async () => {
    await opened.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  return opened;
}

function post(at: Host, token: string, message: object, sessionId?: string): Promise<Response> {
  return at.fetch(
    new Request(resource, {
      method: 'POST',
      headers: {
        host: `127.0.0.1:${port}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${token}`,
        ...(sessionId !== undefined && {
          'mcp-session-id': sessionId,
          'mcp-protocol-version': '2025-11-25',
        }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...message }),
    }),
  );
}

function open(token: string, at = host): Promise<Response> {
  const params = {
    protocolVersion: '2025-11-25',
    clientInfo: { name: 'c', version: '1' },
    capabilities: {},
  };
  return post(at, token, { method: 'initialize', params });
}

async function openStatus(token: string, at = host): Promise<number> {
  return (await open(token, at)).status;
}

/** What the tool says to who holds the token. */
async function whoIs(token: string): Promise<string> {
  const opened = await open(token);
  expect(opened.status).toBe(200);
  const sessionId = opened.headers.get('mcp-session-id') ?? '';
  const params = { name: 'who_am_i', arguments: {} };
  const reply = await post(host, token, { method: 'tools/call', params }, sessionId);
  return reply.text();
}

async function signIn(asked: { readonly resource?: string } = { resource }): Promise<string> {
  return (await signInAtProvider(provider, asked)).access_token;
}

async function expectRefusal(token: string): Promise<void> {
  const reply = await open(token);
  expect(reply.status).toBe(401);
  expect(reply.headers.get('www-authenticate')).toContain('error="invalid_token"');
}

async function expectUnavailable(token: string, at = host): Promise<void> {
  const reply = await open(token, at);
  expect(reply.status).toBe(503);
  expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(0);
  // A client that is told 401 throws its token away.
  expect(reply.headers.get('www-authenticate')).toBeNull();
}

test('a token that a client got there calls a tool, in the name of its user', async () => {
  const token = await signIn();
  expect(await whoIs(token)).toContain(`second|${decodeJwt(token).sub} of harbour`);
});

// Version 1 registers a desktop application as one of the web, which this provider calls back on no loopback address.
test.each(['SDK v2, modern', 'SDK v2, legacy'] as const)(
  'a client (%s) that knows only our address registers there, signs its user in, and calls a tool',
  async (kind) => {
    const { url } = await host.listen();
    const browser = new FormBrowser(() => false);
    const client = await createSigningInClient(kind, url, async (page) => {
      expect(page.href).toContain(provider.authorizationEndpoint);
      await browser.authorize(page);
    });
    onTestFinished(() => client.close());
    await client.connect();
    expect(client.visits).toHaveLength(1);
    expect(await client.callTool('who_am_i', {})).toMatchObject({
      content: [{ type: 'text', text: expect.stringMatching(/^second\|\S+ of harbour$/) }],
    });
  },
);

test('its tokens for another resource, for none, and for a client are refused', async () => {
  await expectRefusal(await signIn({ resource: otherResource }));
  await expectRefusal(await signIn({}));
  const { access_token: accessToken, id_token: idToken = '' } = await signInAtProvider(provider, {
    resource,
  });
  await expectRefusal(idToken);
  expect(await openStatus(accessToken)).toBe(200);
});

test('a new key is taken within the cooldown for unknown ones, and an old one while it is published', async () => {
  const old = await signIn();
  const oldUnseen = await signIn();
  expect(await openStatus(old)).toBe(200);
  for (let rotation = 0; rotation < 2; rotation += 1) {
    const kid = await provider.rotateKeys();
    const token = await signIn();
    expect(decodeProtectedHeader(token).kid).toBe(kid);
    if (rotation === 0) expect(await openStatus(token)).toBe(200);
    // The second comes within the cooldown of the first.
    else await vi.waitFor(async () => expect(await openStatus(token)).toBe(200), patience);
  }
  expect(await openStatus(old)).toBe(200);
  expect(await openStatus(oldUnseen)).toBe(200);
});

test('a token of a key that is published no more is refused once the new keys are known', async () => {
  const unseen = await signIn();
  expect(await openStatus(await signIn())).toBe(200);
  await provider.rotateKeys({ areOldKept: false });
  expect(await openStatus(await signIn())).toBe(200);
  await expectRefusal(unseen);
});

test('while the provider is down, its last keys serve, however old', async () => {
  const aheadMs = { value: 0 };
  const now = Date.now;
  vi.spyOn(Date, 'now').mockImplementation(() => now() + aheadMs.value);
  // The clock of this one is the one that moves.
  host = await openHost();
  const [known, unseen, late] = [await signIn(), await signIn(), await signIn()];
  expect(await openStatus(known)).toBe(200);
  await provider.kill();
  expect(await openStatus(known)).toBe(200);
  expect(await openStatus(unseen)).toBe(200);
  aheadMs.value = staleMs;
  expect(await openStatus(known)).toBe(200);
  expect(await openStatus(late)).toBe(200);
});

test('while the provider is down, nobody can judge a key that is not known: 503 until it is back', async () => {
  expect(await openStatus(await signIn())).toBe(200);
  await provider.rotateKeys();
  const token = await signIn();
  await provider.kill();
  await expectUnavailable(token);
  await provider.restart();
  await vi.waitFor(async () => expect(await openStatus(token)).toBe(200), patience);
});

test('a host that starts while the provider is down answers 503, and serves once it is back', async () => {
  const token = await signIn();
  await provider.kill();
  const late = await openHost();
  await expectUnavailable(token, late);
  await expectUnavailable(token, late);
  await provider.restart();
  await vi.waitFor(async () => expect(await openStatus(token, late)).toBe(200), patience);
  expect(await openStatus(await signIn(), late)).toBe(200);
});
