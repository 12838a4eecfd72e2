/** Programs without a person: client credentials with `private_key_jwt`, and assertions of a company's identity provider. */
import { createHash, randomUUID } from 'node:crypto';
import {
  calculateJwkThumbprint,
  decodeJwt,
  exportJWK,
  generateKeyPair,
  type GenerateKeyPairResult,
  importPKCS8,
  SignJWT,
} from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ClientService, type MadeServiceClient } from '../../src/auth/clients/client-service.ts';
import { RemoteKeySet } from '../../src/auth/issuers/remote-key-set.ts';
import { createTokenVerifier } from '../../src/auth/issuers/token-verifier.ts';
import { parseTrustedIssuers } from '../../src/config/trusted-issuers.ts';
import { SqlServiceClientStore } from '../../src/database/sql-service-client-store.ts';
import type { FullReply } from '../../src/http/messages.ts';
import {
  bodyOf,
  openAuthorizationServer,
  origin,
  register,
  resource,
  type TestAuthorizationServer,
} from '../authorization-server.ts';
import { type IssuerServer, startIssuerServer } from '../issuer-server.ts';

const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

let issuer: IssuerServer;
let issuerKey: GenerateKeyPairResult;
let open: TestAuthorizationServer;
let clients: ClientService;
let made: MadeServiceClient;

beforeEach(async () => {
  issuerKey = await generateKeyPair('ES256');
  issuer = await startIssuerServer([{ ...(await exportJWK(issuerKey.publicKey)), kid: 'k1', alg: 'ES256' }]);
  open = await openAuthorizationServer({ assertions: createTokenVerifier([trust(issuer.url)]) });
  await open.users.insert({ ...identity(), id: randomUUID(), isActive: true, createdAt: 1 });
  const user = await open.users.findByIdentity(issuer.url, 'grace');
  await open.users.setMembership({
    userId: user?.id ?? '',
    tenantId: open.tenantId,
    role: 'member',
    scopes: ['notes:read', 'notes:write'],
    isActive: true,
    createdAt: 1,
  });
  clients = new ClientService({
    clients: new SqlServiceClientStore(open.database),
    revoke: (kind, name) => Promise.resolve(void open.revoked.push(`${kind}:${name}`)),
  });
  made = await clients.create({
    name: 'Nightly',
    tenantId: 'harbour',
    role: 'worker',
    scopes: ['notes:read', 'notes:write'],
  });
});
afterEach(async () => {
  await open.close();
  await issuer.close();
});

function identity() {
  return { issuer: issuer.url, subject: 'grace', name: 'Grace' };
}

function trust(url: string) {
  const parsed = parseTrustedIssuers([{ name: 'company', issuer: url, uses: ['id-jag'] }]);
  if (parsed.kind === 'problem') throw new Error(parsed.problem);
  const [record] = parsed.value;
  if (record === undefined) throw new Error('no record');
  return { issuer: record, keys: new RemoteKeySet({ issuer: url, jwksUri: `${url}/jwks` }) };
}

/** The fields by which a service client says who it is. */
async function prove(
  { client, privateKey = '' }: MadeServiceClient,
  changes: Readonly<Record<string, unknown>> = {},
): Promise<Record<string, string>> {
  const key = await importPKCS8(privateKey, 'ES256');
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: client.id,
    sub: client.id,
    aud: origin,
    jti: randomUUID(),
    iat: now,
    exp: now + 60,
    ...changes,
  };
  return {
    client_assertion_type: assertionType,
    client_assertion: await new SignJWT(claims).setProtectedHeader({ alg: 'ES256' }).sign(key),
  };
}

async function askToken(
  fields: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<FullReply> {
  return open.ask('/oauth/token', { body: new URLSearchParams(fields), headers });
}

async function createProof(
  { privateKey, publicKey }: GenerateKeyPairResult,
  changes: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ htm: 'POST', htu: `${origin}/oauth/token`, jti: randomUUID(), iat: now, ...changes })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: await exportJWK(publicKey) })
    .sign(privateKey);
}

describe('client credentials', () => {
  const ask = async (
    fields: Readonly<Record<string, string>> = {},
    changes: Readonly<Record<string, unknown>> = {},
  ) => askToken({ grant_type: 'client_credentials', ...(await prove(made, changes)), ...fields });

  test('give a client that an operator made a token of its tenant, its role and no more than its scopes', async () => {
    const reply = await ask({ scope: 'notes:read notes:admin', resource });
    expect([reply.status, bodyOf(reply)['scope']]).toEqual([200, 'notes:read']);
    expect(bodyOf(reply)['refresh_token']).toBeUndefined();
    expect(decodeJwt(String(bodyOf(reply)['access_token']))).toMatchObject({
      sub: made.client.id,
      client_id: made.client.id,
      aud: resource,
      tenant: 'harbour',
      role: 'worker',
      scope: 'notes:read',
    });
    expect(bodyOf(await ask())['scope']).toBe('notes:read notes:write');
  });

  test('are for nobody who registered alone, and for no proof that does not hold', async () => {
    const clientId = await register(open, {
      client_name: 'Client',
      redirect_uris: ['https://client.example/callback'],
    });
    const own = await askToken({ grant_type: 'client_credentials', client_id: clientId });
    expect([own.status, own.body]).toEqual([400, expect.stringContaining('not allowed for this client')]);
    const other = await clients.create({ name: 'Other', tenantId: 'harbour', role: 'worker', scopes: ['*'] });
    const wrong: readonly Readonly<Record<string, unknown>>[] = [
      { aud: 'https://elsewhere.example' },
      { exp: 1_700_000_000 },
      { iss: other.client.id },
      { sub: other.client.id, iss: other.client.id },
    ];
    for (const changes of wrong) expect([(await ask({}, changes)).status, changes]).toEqual([401, changes]);
    const without = await askToken({ grant_type: 'client_credentials', client_id: made.client.id });
    expect([without.status, bodyOf(without)['error']]).toEqual([401, 'invalid_client']);
  });

  test('take each proof once', async () => {
    const proof = await prove(made);
    const fields = { grant_type: 'client_credentials', ...proof };
    expect((await askToken(fields)).status).toBe(200);
    expect((await askToken(fields)).status).toBe(401);
  });

  test('end with the client, whose tokens are revoked', async () => {
    await clients.revoke(made.client.id);
    expect((await ask()).status).toBe(401);
    expect(open.revoked).toEqual([`client:${made.client.id}`]);
    await expect(clients.revoke(made.client.id)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('are bound to a key that is proven along with them', async () => {
    const pair = await generateKeyPair('ES256');
    const fields = { grant_type: 'client_credentials', ...(await prove(made)) };
    const reply = await askToken(fields, { dpop: await createProof(pair) });
    expect(bodyOf(reply)['token_type']).toBe('DPoP');
    const { cnf } = decodeJwt(String(bodyOf(reply)['access_token']));
    expect(cnf).toEqual({ jkt: await calculateJwkThumbprint(await exportJWK(pair.publicKey)) });
  });

  test('are told of in the metadata', async () => {
    expect(bodyOf(await open.ask('/.well-known/oauth-authorization-server'))).toMatchObject({
      grant_types_supported: expect.arrayContaining(['client_credentials', jwtBearer]),
      token_endpoint_auth_methods_supported: expect.arrayContaining(['private_key_jwt']),
      token_endpoint_auth_signing_alg_values_supported: expect.arrayContaining(['ES256', 'RS256']),
      authorization_grant_profiles_supported: ['urn:ietf:params:oauth:grant-profile:id-jag'],
    });
    const plain = await openAuthorizationServer();
    try {
      const told = bodyOf(await plain.ask('/.well-known/oauth-authorization-server'));
      expect(told['grant_types_supported']).not.toContain(jwtBearer);
      expect(told['authorization_grant_profiles_supported']).toBeUndefined();
    } finally {
      await plain.close();
    }
  });
});

describe('keys of a client', () => {
  const create = (jwks: unknown) =>
    clients.create({ name: 'Keyed', tenantId: 'harbour', role: 'worker', scopes: ['*'], keys: { jwks } });

  test('may be its own, as a key or a set', async () => {
    const pair = await generateKeyPair('RS256', { extractable: true });
    const jwk = await exportJWK(pair.publicKey);
    for (const jwks of [jwk, { keys: [jwk] }]) {
      const { client, privateKey } = await create(jwks);
      expect(privateKey).toBeUndefined();
      expect(client.keys).toMatchObject({ kind: 'jwks', keys: [jwk] });
    }
  });

  test.each([
    [
      'a private key',
      async () => exportJWK((await generateKeyPair('ES256', { extractable: true })).privateKey),
      'leaked',
    ],
    ['a shared secret', () => ({ kty: 'oct', k: 'c2VjcmV0' }), 'leaked'],
    ['no object', () => 'key', 'must be a JSON Web Key'],
    ['no key', () => ({ keys: [] }), '1 to 10 keys'],
    ['a short RSA key', () => ({ kty: 'RSA', n: 'AQAB', e: 'AQAB' }), '2048 bits'],
    ['a curve that is not taken', () => ({ kty: 'EC', crv: 'P-384', x: 'a', y: 'b' }), 'P-256'],
    ['a broken key', () => ({ kty: 'EC', crv: 'P-256', x: 'a', y: 'b' }), 'not a JSON Web Key'],
  ])('are refused: %s', async (_, make, problem) => {
    await expect(create(await make())).rejects.toThrow(problem);
  });

  test('where they are published must be an https URL', async () => {
    await expect(
      clients.create({
        name: 'x',
        tenantId: 'harbour',
        role: 'worker',
        scopes: ['*'],
        keys: { jwksUri: 'http://a.example/jwks' },
      }),
    ).rejects.toThrow('https');
  });

  test('need a tenant that is there', async () => {
    await expect(
      clients.create({ name: 'x', tenantId: 'nowhere', role: 'worker', scopes: ['*'] }),
    ).rejects.toThrow('There is no tenant nowhere');
  });
});

describe('an assertion of the company of a user', () => {
  async function assert(
    claims: Readonly<Record<string, unknown>> = {},
    {
      typ = 'oauth-id-jag+jwt',
      key = issuerKey,
    }: { readonly typ?: string; readonly key?: GenerateKeyPairResult } = {},
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({
      iss: issuer.url,
      sub: 'grace',
      aud: origin,
      client_id: made.client.id,
      resource,
      scope: 'notes:read',
      jti: randomUUID(),
      iat: now,
      exp: now + 300,
      ...claims,
    })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1', typ })
      .sign(key.privateKey);
  }

  const redeem = async (assertion: string, fields: Readonly<Record<string, string>> = {}, headers = {}) =>
    askToken({ grant_type: jwtBearer, assertion, resource, ...(await prove(made)), ...fields }, headers);

  test('gives the client a token for that user, without a browser and without a refresh token', async () => {
    const reply = await redeem(await assert());
    expect(reply.status).toBe(200);
    const { access_token: token, ...rest } = bodyOf(reply);
    expect(rest).toEqual({ token_type: 'Bearer', expires_in: 3600, scope: 'notes:read' });
    const user = await open.users.findByIdentity(issuer.url, 'grace');
    expect(decodeJwt(String(token))).toMatchObject({
      iss: origin,
      sub: user?.id,
      client_id: made.client.id,
      aud: resource,
      tenant: 'harbour',
      role: 'member',
    });
  });

  test('gives no more than what is asked for, asserted and had, all three', async () => {
    const scope = 'notes:read notes:write notes:admin';
    expect(bodyOf(await redeem(await assert({ scope })))['scope']).toBe('notes:read notes:write');
    expect(bodyOf(await redeem(await assert({ scope }), { scope: 'notes:write' }))['scope']).toBe(
      'notes:write',
    );
    expect((await redeem(await assert(), { scope: 'notes:write' })).status).toBe(400);
    // One that names none leaves it to the membership.
    expect(bodyOf(await redeem(await assert({ scope: undefined })))['scope']).toBe('notes:read');
    expect(bodyOf(await redeem(await assert({ scope: undefined }), { scope }))['scope']).toBe(
      'notes:read notes:write',
    );
  });

  test('is good once, of many at once, on all instances', async () => {
    const other = await open.openOther();
    try {
      const assertion = await assert();
      const asked = await Promise.all(
        Array.from({ length: 8 }, async (_, n) =>
          (n % 2 === 0 ? open : other).ask('/oauth/token', {
            body: new URLSearchParams({ grant_type: jwtBearer, assertion, ...(await prove(made)) }),
          }),
        ),
      );
      const statuses = asked.map(({ status }) => status);
      expect(statuses.filter((status) => status === 200)).toHaveLength(1);
      expect(statuses.filter((status) => status === 400)).toHaveLength(7);
    } finally {
      await other.close();
    }
  });

  const bad: readonly (readonly [string, () => Promise<string>])[] = [
    ['of another type', () => assert({}, { typ: 'JWT' })],
    ['that is an access token', () => assert({}, { typ: 'at+jwt' })],
    ['signed by nobody we know', async () => assert({}, { key: await generateKeyPair('ES256') })],
    ['of an issuer that is not trusted', () => assert({ iss: 'https://evil.example' })],
    ['for another server', () => assert({ aud: 'https://elsewhere.example' })],
    ['for several servers', () => assert({ aud: [origin, 'https://elsewhere.example'] })],
    ['for another client', () => assert({ client_id: 'somebody else' })],
    ['for no client', () => assert({ client_id: undefined })],
    ['for another resource', () => assert({ resource: 'https://elsewhere.example/mcp' })],
    ['for no resource', () => assert({ resource: undefined })],
    ['that has ended', () => assert({ iat: 1_700_000_000, exp: 1_700_000_300 })],
    ['that lives for a day', () => assert({ exp: Math.floor(Date.now() / 1000) + 86_400 })],
    ['without an id of its own', () => assert({ jti: undefined })],
    ['of a user who is not here', () => assert({ sub: 'nobody' })],
  ];
  test.each(bad)('is refused: %s', async (_, make) => {
    const reply = await redeem(await make());
    expect([reply.status, bodyOf(reply)['error']]).toEqual([400, 'invalid_grant']);
  });

  test('is not used up by a request that gives nothing', async () => {
    const assertion = await assert();
    expect((await redeem(assertion, { scope: 'notes:write' })).status).toBe(400);
    expect((await redeem(assertion)).status).toBe(200);
  });

  test('needs a user who is active here', async () => {
    const user = await open.users.findByIdentity(issuer.url, 'grace');
    await open.users.update(user?.id ?? '', { isActive: false });
    expect((await redeem(await assert())).status).toBe(400);
  });

  test('needs a client that proves who it is, and that asked for the grant', async () => {
    const publicClient = await register(open, {
      client_name: 'Public',
      redirect_uris: ['https://client.example/callback'],
      grant_types: ['authorization_code', jwtBearer],
    });
    const fields = { grant_type: jwtBearer, resource };
    const refused = await askToken({
      ...fields,
      client_id: publicClient,
      assertion: await assert({ client_id: publicClient }),
    });
    expect([refused.status, refused.body]).toEqual([
      400,
      expect.stringContaining('not allowed for this client'),
    ]);

    const reply = await open.ask('/oauth/register', {
      body: JSON.stringify({
        client_name: 'Confidential',
        redirect_uris: ['https://client.example/callback'],
        token_endpoint_auth_method: 'client_secret_post',
        grant_types: ['authorization_code', jwtBearer],
      }),
    });
    const { client_id: id, client_secret: secret } = bodyOf(reply) as Record<string, string>;
    const assertion = await assert({ client_id: id });
    const own = { ...fields, client_id: id ?? '', client_secret: secret ?? '', assertion };
    expect((await askToken({ ...own, client_secret: 'wrong' })).status).toBe(401);
    expect((await askToken(own)).status).toBe(200);
  });

  test('is bound to a key that is proven along with it; a proof that does not hold gives nothing', async () => {
    const pair = await generateKeyPair('ES256');
    const assertion = await assert();
    const wrong = [{ htm: 'GET' }, { htu: resource }, { iat: 1_700_000_000 }];
    for (const changes of wrong) {
      const reply = await redeem(assertion, {}, { dpop: await createProof(pair, changes) });
      expect([reply.status, bodyOf(reply)['error']]).toEqual([400, 'invalid_dpop_proof']);
    }
    const reply = await redeem(assertion, {}, { dpop: await createProof(pair) });
    expect(bodyOf(reply)['token_type']).toBe('DPoP');
    const jkt = await calculateJwkThumbprint(await exportJWK(pair.publicKey));
    expect(decodeJwt(String(bodyOf(reply)['access_token']))['cnf']).toEqual({ jkt });
  });

  test('is judged later while the keys of its issuer cannot be had', async () => {
    issuer.isDown = true;
    const reply = await redeem(await assert());
    expect([reply.status, bodyOf(reply)['error']]).toEqual([503, 'temporarily_unavailable']);
  });

  test('rests nowhere, and its id as a hash alone', async () => {
    const jti = randomUUID();
    await redeem(await assert({ jti }));
    const rows = await open.database.kysely
      .selectFrom('mcp_oauth_record')
      .selectAll()
      .where('model', '=', 'IdentityAssertion')
      .execute();
    expect(rows).toHaveLength(1);
    expect(rows[0]?.id_hash).toBe(createHash('sha256').update(`${issuer.url} ${jti}`).digest('hex'));
    expect(JSON.stringify(rows)).not.toContain(jti);
  });
});
