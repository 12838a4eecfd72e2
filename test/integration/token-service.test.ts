import { createHash, randomUUID } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createIssuerKey, type IssuerKey, signToken } from '../../src/auth/issuers/test-issuer.contract.ts';
import type { DatabaseTarget } from '../../src/database/open-database.ts';
import { successionGraceMs } from '../../src/auth/tokens/token-service.ts';
import { openTokenUpkeep } from '../../src/token-upkeep.ts';
import { origin } from '../authorization-server.ts';
import { useDatabaseTargets } from '../database-targets.ts';
import { type IssuerServer, startIssuerServer } from '../issuer-server.ts';
import { useShiftedClock } from '../shifted-clock.ts';
import { bearer, openTestHost, type TestHost } from '../test-host.ts';

let key: IssuerKey;
let issuer: IssuerServer;
let open: TestHost;
let userId: string;
let tenantId: string;

const targets = useDatabaseTargets();
const [[, makeFile], [, makePostgres]] = targets;
const places = [
  ['keys', 'SQLite', makeFile],
  ['oauth', 'SQLite', makeFile],
  // Nothing that is stored differs by AUTH.
  ['oauth', 'PostgreSQL', makePostgres],
] as const;

async function setUp(auth: string, target: DatabaseTarget): Promise<void> {
  key = await createIssuerKey('k1');
  issuer = await startIssuerServer([key.jwk]);
  const records = [{ name: 'shop', issuer: issuer.url, audience: 'shop-1', uses: ['identity'] }];
  open = await openTestHost({
    environment: { AUTH: auth, TRUSTED_ISSUERS: JSON.stringify(records) },
    target,
  });
  // The first request makes the first tenant.
  await call('GET', '/health');
  const [tenant] = (await open.host.identity?.tenants.list(1)) ?? [];
  tenantId = tenant?.id ?? '';
  const made = await open.host.identity?.userService.create({
    issuer: issuer.url,
    subject: 'ada',
    membership: { tenantId, role: 'merchant', scopes: ['notes:read'] },
  });
  userId = made?.user.id ?? '';
}
afterEach(async () => {
  await open.close();
  await issuer.close();
});

describe.each(['keys', 'oauth'])('with AUTH=%s', (auth) => {
  beforeEach(async () => setUp(auth, await makeFile()));

  test.each<[string, unknown, number]>([
    ['nothing', {}, 400],
    ['two tokens', { firebaseIdToken: 'a', subjectToken: 'b' }, 400],
    ['what is no text', { firebaseIdToken: 1 }, 400],
    ['more than is known', { firebaseIdToken: 'a', extra: 1 }, 400],
    ['a scope that is none', { firebaseIdToken: 'a', scope: '"' }, 400],
    ['no scope', { firebaseIdToken: 'a', scope: ' ' }, 400],
  ])('a body is refused that holds %s', async (_, body, status) => {
    expect((await call('POST', '/mcp/token', body)).status).toBe(status);
  });
});

describe.each(places)('with AUTH=%s, on %s', (auth, _database, makeTarget) => {
  beforeEach(async () => setUp(auth, await makeTarget()));

  test('an ID token becomes an access token that the endpoint takes, which becomes a successor', async () => {
    const exchanged = await call('POST', '/mcp/token', { firebaseIdToken: await signIdentity() });
    expect(exchanged).toMatchObject({
      status: 200,
      value: {
        accessToken: expect.any(String),
        expiresIn: 3600,
        tokenType: 'Bearer',
        scope: 'notes:read',
      },
    });
    expect(exchanged.headers.get('cache-control')).toBe('no-store');
    const token: string = exchanged.value.accessToken;
    expect((await openSession(token)).status).toBe(200);
    const published = await call('GET', '/oauth/jwks');
    expect(published.value.keys).toMatchObject([{ kid: decodeProtectedHeader(token).kid, alg: 'ES256' }]);
    expect(published.value.keys[0]).not.toHaveProperty('d');
    const refreshed = await call('POST', '/mcp/token/refresh', { token });
    expect(refreshed.status).toBe(200);
    expect(decodeJwt(refreshed.value.accessToken)).toMatchObject({ sub: userId, tenant: tenantId });
    expect((await openSession(refreshed.value.accessToken)).status).toBe(200);
  });

  test('the tenant goes by two names, which must not differ', async () => {
    const subjectToken = await signIdentity();
    const ask = (body: object) =>
      call('POST', '/mcp/token', { subjectToken, issuer: issuer.url, ...body }).then(({ status }) => status);
    expect(await ask({ businessId: tenantId })).toBe(200);
    expect(await ask({ businessId: tenantId, tenantId })).toBe(200);
    expect(await ask({ businessId: tenantId, tenantId: 'other' })).toBe(400);
    expect(await ask({ tenantId: 'other' })).toBe(403);
  });

  test('who is no member is told 403, who has no good ID token 401', async () => {
    const exchange = (token: string) =>
      call('POST', '/mcp/token', { firebaseIdToken: token }).then(({ status, value }) => [
        status,
        value.error.data.code,
      ]);
    expect(await exchange(await signIdentity({ sub: 'bob' }))).toEqual([403, 'forbidden']);
    expect(await exchange(await signIdentity({ exp: 1 }))).toEqual([401, 'invalid_token']);
    expect(await exchange(await signIdentity({ aud: 'other' }))).toEqual([401, 'invalid_token']);
    expect(await exchange('x')).toEqual([401, 'invalid_token']);
    // An access token of this host proves nobody's sign-in.
    const { value } = await call('POST', '/mcp/token', { firebaseIdToken: await signIdentity() });
    expect(await exchange(value.accessToken)).toEqual([401, 'invalid_token']);
  });

  test('a user who is revoked can neither call nor refresh', async () => {
    const { value } = await call('POST', '/mcp/token', { firebaseIdToken: await signIdentity() });
    await open.host.identity?.userService.setActive(userId, false);
    await expect
      .poll(() => openSession(value.accessToken).then(({ status }) => status), { timeout: 30_000 })
      .toBe(401);
    const refreshed = await call('POST', '/mcp/token/refresh', { token: value.accessToken });
    expect([401, 403]).toContain(refreshed.status);
  });

  test('who asks too often is told when to come back, and nobody else is', async () => {
    await open.host.identity?.userService.create({
      issuer: issuer.url,
      subject: 'eve',
      membership: { tenantId, role: 'merchant', scopes: ['*'] },
    });
    const firebaseIdToken = await signIdentity({ sub: 'eve' });
    const replies = await Promise.all(
      Array.from({ length: 80 }, () => call('POST', '/mcp/token', { firebaseIdToken })),
    );
    const refused = replies.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await call('POST', '/mcp/token', { firebaseIdToken: await signIdentity() })).status).toBe(200);
  });

  test('the command line replaces the signing key while this host serves, and ends what it is told to', async () => {
    const before = await call('POST', '/mcp/token', { firebaseIdToken: await signIdentity() });
    const upkeep = await openTokenUpkeep(open.config, open.secrets);
    const { id } = await upkeep.rotateKeys(false);
    // A token of the new key, as another instance would give one: this one looks for the key before it refuses.
    const header = Buffer.from(JSON.stringify({ alg: 'ES256', typ: 'at+jwt', kid: id })).toString(
      'base64url',
    );
    const [, claims, signature] = String(before.value.accessToken).split('.');
    await expect
      .poll(
        async () => {
          expect((await openSession(`${header}.${claims}.${signature}`)).status).toBe(401);
          const { value } = await call('GET', '/oauth/jwks');
          return value.keys.map((each: JWK) => each.kid);
        },
        { timeout: 60_000, interval: 300 },
      )
      .toEqual([decodeProtectedHeader(before.value.accessToken).kid, id]);
    expect((await openSession(before.value.accessToken)).status).toBe(200);
    await upkeep.revoke('tenant', tenantId);
    await expect
      .poll(() => openSession(before.value.accessToken).then(({ status }) => status), { timeout: 30_000 })
      .toBe(401);
    expect((await call('POST', '/mcp/token/refresh', { token: before.value.accessToken })).status).toBe(401);
    await upkeep.close();
  }, 90_000);

  test('the token endpoint of OAuth makes the same exchange, where there is one', async () => {
    const idToken = 'urn:ietf:params:oauth:token-type:id_token';
    const ask = async (changes: Record<string, string> = {}, headers: Record<string, string> = {}) => {
      const reply = await open.fetch('/oauth/token', {
        method: 'POST',
        headers,
        body: new URLSearchParams({
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          subject_token: await signIdentity(),
          subject_token_type: idToken,
          ...changes,
        }),
      });
      return { status: reply.status, value: JSON.parse(await reply.text()) };
    };
    if (auth === 'keys') return expect((await ask()).status).toBe(404);
    const metadata = await call('GET', '/.well-known/oauth-authorization-server');
    expect(metadata.value.grant_types_supported).toContain('urn:ietf:params:oauth:grant-type:token-exchange');
    const good = await ask({ resource: `${origin}/mcp`, scope: 'notes:read', tenant_id: tenantId });
    expect(good).toMatchObject({
      status: 200,
      value: {
        issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        token_type: 'Bearer',
        expires_in: 3600,
        scope: 'notes:read',
      },
    });
    expect((await openSession(good.value.access_token)).status).toBe(200);
    for (const [changes, error] of [
      [{ subject_token: 'x' }, 'invalid_request'],
      [{ subject_token: await signIdentity({ exp: 1 }) }, 'invalid_request'],
      [{ subject_token: good.value.access_token }, 'invalid_request'],
      [{ subject_token_type: 'urn:ietf:params:oauth:token-type:access_token' }, 'invalid_request'],
      [{ requested_token_type: idToken }, 'invalid_request'],
      [{ actor_token: 'x' }, 'invalid_request'],
      [{ subject_token: await signIdentity({ sub: 'bob' }) }, 'invalid_grant'],
      [{ scope: 'admin' }, 'invalid_grant'],
      [{ tenant_id: 'other' }, 'invalid_grant'],
      [{ resource: 'https://other.example/mcp' }, 'invalid_target'],
      [{ audience: 'https://other.example/mcp' }, 'invalid_target'],
      [{ scope: '"' }, 'invalid_scope'],
    ] as const) {
      expect(await ask(changes), JSON.stringify(Object.keys(changes))).toMatchObject({
        status: 400,
        value: { error },
      });
    }
    return expect(await ask({}, { dpop: 'a.b.c' })).toMatchObject({ value: { error: 'invalid_dpop_proof' } });
  });

  test('a restart keeps what was signed', async () => {
    const { value } = await call('POST', '/mcp/token', { firebaseIdToken: await signIdentity() });
    await open.host.close();
    const restarted = await open.openOther();
    expect((await openSession(value.accessToken, restarted)).status).toBe(200);
    const body = { token: value.accessToken };
    expect((await call('POST', '/mcp/token/refresh', body, restarted)).status).toBe(200);
    await restarted.close();
  });
});

test('a token for which a key was proven is bound to it, and not refreshed', async () => {
  await setUp('oauth', await makeFile());
  const pair = await generateKeyPair('ES256');
  const prove = async (method: string, path: string, more: Record<string, unknown> = {}) =>
    new SignJWT({ htm: method, htu: `${origin}${path}`, jti: randomUUID(), ...more })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: await exportJWK(pair.publicKey) })
      .setIssuedAt()
      .sign(pair.privateKey);
  const dpopOnce = await prove('POST', '/oauth/token');
  const exchange = (subjectToken: string) =>
    open.fetch('/oauth/token', {
      method: 'POST',
      headers: { dpop: dpopOnce },
      body: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: subjectToken,
        subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
      }),
    });
  // Who brings nothing good uses up no proof, and fills nothing that remembers them.
  expect((await exchange('x')).status).toBe(400);
  const reply = await exchange(await signIdentity());
  const { access_token: token = '', token_type: type } = (await reply.json()) as Record<string, string>;
  expect([reply.status, type]).toEqual([200, 'DPoP']);
  expect((await openSession(token)).status).toBe(401);
  expect((await call('POST', '/mcp/token/refresh', { token })).status).toBe(401);
  const ath = createHash('sha256').update(token).digest('base64url');
  const dpop = await prove('POST', '/mcp', { ath });
  expect((await open.post({ authorization: `DPoP ${token}`, dpop })).status).toBe(200);
});

describe.each(targets)('two hosts on %s', (_database, makeTarget) => {
  const clock = useShiftedClock();
  let other: TestHost;
  beforeEach(async () => {
    await setUp('keys', await makeTarget());
    other = await open.openOther();
  });
  afterEach(() => other.close());

  test('a session that the command line ends is over on each within about a second, open streams too', async () => {
    const { value } = await call('POST', '/mcp/token', { firebaseIdToken: await signIdentity() });
    const streams = await Promise.all([open, other].map((at) => openStream(value.accessToken, at)));
    const upkeep = await openTokenUpkeep(open.config, open.secrets);
    await upkeep.revoke('session', String(decodeJwt(value.accessToken)['sid']));
    await upkeep.close();
    for (const at of [open, other]) await waitForRefusal(value.accessToken, at);
    await Promise.all(streams.map((stream) => stream.text()));
    const body = { token: value.accessToken };
    expect((await call('POST', '/mcp/token/refresh', body, other)).status).toBe(401);
    // The user is not what was revoked.
    const again = await call('POST', '/mcp/token', { firebaseIdToken: await signIdentity() }, other);
    expect((await openSession(again.value.accessToken, other)).status).toBe(200);
  });

  test('a token that comes again at one ends what came of it at the other', async () => {
    const first = await call('POST', '/mcp/token', { firebaseIdToken: await signIdentity() });
    const body = { token: first.value.accessToken };
    const second = await call('POST', '/mcp/token/refresh', body);
    const stream = await openStream(second.value.accessToken, other);
    clock.aheadMs = successionGraceMs + 1000;
    expect((await openSession(second.value.accessToken, other)).status).toBe(200);
    expect((await call('POST', '/mcp/token/refresh', body)).status).toBe(401);
    await waitForRefusal(second.value.accessToken, other);
    await stream.text();
    expect(open.lines.filter((line) => line.includes('"auth.token_reused"'))).toHaveLength(1);
  });
});

/** The store is looked at every second at the latest; the rest is for a machine that is busy. */
async function waitForRefusal(token: string, at: TestHost): Promise<void> {
  await expect
    .poll(() => openSession(token, at).then(({ status }) => status), { timeout: 3000, interval: 50 })
    .toBe(401);
}

async function openStream(token: string, at: TestHost): Promise<Response> {
  const opened = await openSession(token, at);
  const stream = await at.fetch('/mcp', {
    headers: {
      ...bearer(token),
      accept: 'text/event-stream',
      'mcp-session-id': opened.headers.get('mcp-session-id') ?? '',
      'mcp-protocol-version': '2025-11-25',
    },
  });
  expect(stream.status).toBe(200);
  return stream;
}

function signIdentity(claims: Record<string, unknown> = {}): Promise<string> {
  return signToken(key, { iss: issuer.url, aud: 'shop-1', sub: 'ada', header: { typ: 'JWT' }, ...claims });
}

async function call(method: string, path: string, body?: unknown, at = open) {
  const reply = await at.fetch(path, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: reply.status, headers: reply.headers, value: JSON.parse(await reply.text()) };
}

function openSession(token: string, at = open): Promise<Response> {
  return at.post(bearer(token));
}
