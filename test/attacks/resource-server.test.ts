/** Attacks on a whole host: tokens that were not made for it, by those it trusts, for whoever brings them. */
import { createHash, randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createIssuerKey, type IssuerKey, signToken } from '../../src/auth/issuers/test-issuer.contract.ts';
import { origin } from '../authorization-server.ts';
import { type IssuerServer, startIssuerServer } from '../issuer-server.ts';
import { bearer, openTestHost, type TestHost } from '../test-host.ts';

let key: IssuerKey;
let otherKey: IssuerKey;
let issuer: IssuerServer;
let other: IssuerServer;
let open: TestHost;

beforeAll(async () => {
  key = await createIssuerKey('k1');
  otherKey = await createIssuerKey('k2');
  issuer = await startIssuerServer([key.jwk]);
  other = await startIssuerServer([otherKey.jwk]);
  const records = [
    { name: 'id', issuer: issuer.url, audience: `${origin}/mcp`, tenantClaim: 'tenant' },
    { name: 'other', issuer: other.url, audience: `${origin}/mcp`, tenantId: 'elsewhere' },
  ];
  open = await openTestHost({ environment: { AUTH: 'oauth', TRUSTED_ISSUERS: JSON.stringify(records) } });
});

afterAll(async () => {
  await open.close();
  await issuer.close();
  await other.close();
});

function sign(claims: JWTPayload & { header?: Record<string, unknown> } = {}, by = key): Promise<string> {
  return signToken(by, { iss: issuer.url, aud: `${origin}/mcp`, ...claims });
}

test('a good token is let in, so that the others are refused for a reason', async () => {
  expect((await open.post(bearer(await sign()))).status).toBe(200);
});

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

const forgeries: readonly (readonly [string, () => Promise<string>])[] = [
  ...['none', 'None', 'NONE', ''].map(
    (alg) =>
      [
        `the algorithm ${JSON.stringify(alg)}`,
        async () => `${encode({ alg, typ: 'at+jwt', kid: 'k1' })}.${(await sign()).split('.')[1] ?? ''}.`,
      ] as const,
  ),
  [
    'HS256 with the public key as the secret',
    async () => {
      const claims = { iss: issuer.url, aud: `${origin}/mcp`, sub: 'ada', tenant: 'acme' };
      return new SignJWT({ ...claims, jti: 'j', client_id: 'c', scope: 'notes:read' })
        .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid: 'k1' })
        .setIssuedAt()
        .setExpirationTime('5m')
        .sign(new TextEncoder().encode(JSON.stringify(key.jwk)));
    },
  ],
  [
    'a key of its own in the header',
    async () => {
      const mine = await createIssuerKey('k1');
      return sign({ header: { jwk: mine.jwk } }, mine);
    },
  ],
  [
    'a key of its own at an address in the header',
    async () => sign({ header: { jku: 'https://evil.example/jwks' } }, await createIssuerKey('k1')),
  ],
  ['the signature of another token', async () => swapSignature(await sign(), await sign({ sub: 'eve' }))],
  ['the key of another issuer that is trusted', () => sign({}, otherKey)],
  ['the issuer of another, signed with the key of the first', () => sign({ iss: other.url })],
  ['this host as issuer, signed with a trusted key', () => sign({ iss: origin })],
  ['an issuer that is trusted by nobody', () => sign({ iss: 'https://evil.example' })],
  ['an issuer that only looks the same', () => sign({ iss: `${issuer.url}/` })],
  ['the audience of another server', () => sign({ aud: 'https://other.example/mcp' })],
  ['an audience below ours', () => sign({ aud: `${origin}/mcp/more` })],
  ['an audience that begins like ours', () => sign({ aud: `${origin}.evil.example/mcp` })],
  ['no audience', () => sign({ aud: [] })],
  ['the type of an ID token', () => sign({ nonce: 'n', header: { typ: 'JWT' } })],
  ['the audience of an ID token', () => sign({ aud: 'client-1' })],
  ['an end that is past', () => sign({ exp: Math.floor(Date.now() / 1000) - 60 })],
  ['an end that is no number', () => sign({ exp: '9999999999' as unknown as number })],
  ['a beginning that is to come', () => sign({ nbf: Math.floor(Date.now() / 1000) + 3600 })],
  ['no tenant', () => sign({ tenant: undefined })],
];

test.each(forgeries)('a token with %s', async (_name, forge) => {
  const reply = await open.post(bearer(await forge()));
  expect([401, 403]).toContain(reply.status);
  expect(reply.headers.get('mcp-session-id')).toBeNull();
});

test('a good token in the address, where logs and histories keep it', async () => {
  const reply = await open.post({}, 'initialize', `?access_token=${await sign()}`);
  expect([400, 401]).toContain(reply.status);
});

test.each([
  ['another user', { sub: 'eve' }],
  ['the same user in another tenant', { tenant: 'rivals' }],
])('a session of one, with a good token of %s', async (_name, claims) => {
  const opened = await open.post(bearer(await sign()));
  const session = {
    'mcp-session-id': opened.headers.get('mcp-session-id') ?? '',
    'mcp-protocol-version': '2025-11-25',
  };
  expect((await open.post({ ...bearer(await sign()), ...session }, 'tools/list')).status).toBe(200);
  expect((await open.post({ ...bearer(await sign(claims)), ...session }, 'tools/list')).status).toBe(404);
  expect((await open.post(session, 'tools/list')).status).toBe(401);
});

test('a session that the attacker names before there is one', async () => {
  const session = { 'mcp-session-id': randomUUID(), 'mcp-protocol-version': '2025-11-25' };
  expect((await open.post({ ...bearer(await sign()), ...session }, 'tools/list')).status).toBe(404);
});

test('a token that is bound to a key, without the key, with another, and with a proof that was used', async () => {
  const pair = await generateKeyPair('ES256', { extractable: true });
  const thief = await generateKeyPair('ES256', { extractable: true });
  const jkt = await calculateJwkThumbprint(await exportJWK(pair.publicKey));
  const token = await sign({ cnf: { jkt } });
  const ath = createHash('sha256').update(token).digest('base64url');
  const prove = async (by = pair, claims: JWTPayload = {}): Promise<string> =>
    new SignJWT({ htm: 'POST', htu: `${origin}/mcp`, jti: randomUUID(), ath, ...claims })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: await exportJWK(by.publicKey) })
      .setIssuedAt()
      .sign(by.privateKey);
  const bound = async (dpop: string) => (await open.post({ authorization: `DPoP ${token}`, dpop })).status;
  const proof = await prove();
  expect(await bound(proof)).toBe(200);
  expect(await bound(proof)).toBe(401);
  expect((await open.post(bearer(token))).status).toBe(401);
  expect((await open.post({ ...bearer(token), dpop: await prove() })).status).toBe(401);
  expect(await bound(await prove(thief))).toBe(401);
  expect(await bound(await prove(pair, { htu: 'https://evil.example/mcp' }))).toBe(401);
  expect(await bound(await prove(pair, { ath: 'of another token' }))).toBe(401);
  expect((await open.post({ authorization: `DPoP ${await sign()}`, dpop: await prove() })).status).toBe(401);
});

function swapSignature(token: string, by: string): string {
  return [...token.split('.').slice(0, 2), by.split('.')[2] ?? ''].join('.');
}
