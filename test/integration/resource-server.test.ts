import type { JWTPayload } from 'jose';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createIssuerKey, type IssuerKey, signToken } from '../../src/auth/issuers/test-issuer.contract.ts';
import { origin } from '../authorization-server.ts';
import { type IssuerServer, startIssuerServer } from '../issuer-server.ts';
import { bearer, openTestHost, type TestHost } from '../test-host.ts';

const metadataUrl = `${origin}/.well-known/oauth-protected-resource/mcp`;
const patience = { timeout: 30_000, interval: 100 };

let key: IssuerKey;
let issuer: IssuerServer;
let open: TestHost;

beforeEach(async () => {
  key = await createIssuerKey('k1');
  issuer = await startIssuerServer([key.jwk]);
  const records = [{ name: 'id', issuer: issuer.url, audience: `${origin}/mcp`, tenantClaim: 'tenant' }];
  open = await openTestHost({ environment: { TRUSTED_ISSUERS: JSON.stringify(records) } });
});

afterEach(async () => {
  await open.close();
  await issuer.close();
});

function sign(claims: JWTPayload & { header?: Record<string, unknown> } = {}, by = key): Promise<string> {
  return signToken(by, { iss: issuer.url, aud: `${origin}/mcp`, ...claims });
}

async function openSession(token: string): Promise<string> {
  const reply = await open.post(bearer(token));
  expect(reply.status).toBe(200);
  return reply.headers.get('mcp-session-id') ?? '';
}

test('without a token a client is told where to learn of sign-in, what to ask for, and no error', async () => {
  const reply = await open.post({}, 'tools/list');
  expect(reply.status).toBe(401);
  expect(reply.headers.get('www-authenticate')).toBe(
    `Bearer scope="notes:read", resource_metadata="${metadataUrl}"`,
  );
});

test('the metadata, at both places, names the issuer and only the least scopes', async () => {
  for (const path of ['/mcp', '']) {
    const reply = await open.fetch(`/.well-known/oauth-protected-resource${path}`);
    expect(await reply.json()).toMatchObject({
      resource: `${origin}/mcp`,
      authorization_servers: [issuer.url],
      scopes_supported: ['notes:read'],
      bearer_methods_supported: ['header'],
    });
  }
});

test('a token of the issuer opens a session, and its keys are fetched once', async () => {
  const token = await sign();
  await Promise.all(Array.from({ length: 100 }, () => openSession(token)));
  expect(issuer.fetches).toBe(1);
});

test('every token that does not hold gets the same 401', async () => {
  const now = Math.floor(Date.now() / 1000);
  const [head = '', payload = ''] = (await sign()).split('.');
  const none = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url');
  const tokens = {
    malformed: 'ey.ey.ey',
    expired: await sign({ exp: now - 10 }),
    'bad signature': await sign({}, await createIssuerKey('k1')),
    'wrong issuer': await sign({ iss: 'https://evil.example' }),
    'wrong audience': await sign({ aud: 'https://other.example/mcp' }),
    none: `${none}.${payload}.`,
    unsigned: `${head}.${payload}.`,
    'ID token': await sign({ nonce: 'n', header: { typ: 'JWT' } }),
    'no token at all': 'mooring_mcp_unknown',
  };
  const bodies = new Set<string>();
  for (const [name, token] of Object.entries(tokens)) {
    const reply = await open.post(bearer(token));
    expect([name, reply.status]).toEqual([name, 401]);
    expect(reply.headers.get('www-authenticate')).toBe(
      `Bearer error="invalid_token", scope="notes:read", resource_metadata="${metadataUrl}"`,
    );
    bodies.add((await reply.text()).replace(/"requestId":"[^"]*"/, ''));
  }
  expect(bodies.size).toBe(1);
});

test('a token in the URL is refused, though it holds', async () => {
  const reply = await open.post({}, 'tools/list', `?access_token=${await sign()}`);
  expect(reply.status).toBe(400);
});

test('a browser may send a proof and read its nonce', async () => {
  const reply = await open.fetch('/mcp', {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization, dpop',
    },
  });
  expect(reply.status).toBe(204);
  expect(reply.headers.get('access-control-allow-headers')).toContain('DPoP');
  const refused = await open.post({ origin }, 'tools/list');
  expect(refused.headers.get('access-control-expose-headers')).toContain('DPoP-Nonce');
  expect(refused.headers.get('access-control-expose-headers')).toContain('WWW-Authenticate');
});

test('a rotated key is taken at once', async () => {
  await openSession(await sign());
  const second = await createIssuerKey('k2');
  issuer.publish([second.jwk]);
  await openSession(await sign({ jti: 'after' }, second));
});

test('an issuer that is down leaves its last keys in force, and without any its tokens are 503, never 401', async () => {
  issuer.isDown = true;
  const refused = await open.post(bearer(await sign()));
  expect(refused.status).toBe(503);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(refused.headers.get('www-authenticate')).toBeNull();
  issuer.isDown = false;
  await vi.waitFor(async () => openSession(await sign()), patience);
  issuer.isDown = true;
  await openSession(await sign({ jti: 'during' }));
});

test('an open stream is cut when its token expires', async () => {
  const token = await sign({ exp: Math.floor(Date.now() / 1000) + 3 });
  const sessionId = await openSession(token);
  const reply = await open.fetch('/mcp', {
    headers: {
      ...bearer(token),
      accept: 'text/event-stream',
      'mcp-session-id': sessionId,
      'mcp-protocol-version': '2025-11-25',
    },
  });
  expect(reply.status).toBe(200);
  // Ends of itself; the test's own bound is what fails when it does not.
  await reply.text();
  expect((await open.post(bearer(token))).status).toBe(401);
});

test('a session goes on with a newer token of the same user, and not with one of another', async () => {
  const exp = Math.floor(Date.now() / 1000) + 3;
  const first = await sign({ exp });
  const second = await sign({ jti: 'second' });
  const sessionId = await openSession(first);
  const headers = { 'mcp-session-id': sessionId, 'mcp-protocol-version': '2025-11-25' };
  expect((await open.post({ ...bearer(second), ...headers }, 'tools/list')).status).toBe(200);
  const other = await sign({ sub: 'eve' });
  expect((await open.post({ ...bearer(other), ...headers }, 'tools/list')).status).toBe(404);
  await vi.waitFor(
    async () => expect((await open.post({ ...bearer(first), ...headers }, 'tools/list')).status).toBe(401),
    patience,
  );
  expect((await open.post({ ...bearer(second), ...headers }, 'tools/list')).status).toBe(200);
});

test('an API key and a token open sessions side by side', async () => {
  await openSession(await sign());
  await openSession(open.host.firstRun?.secret ?? '');
});
