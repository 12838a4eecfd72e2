/** Programs without a person: client credentials with `private_key_jwt`, and assertions of a user's company. */
import { createHash, randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, decodeJwt, exportJWK, generateKeyPair } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ClientService } from '../../src/auth/clients/client-service.ts';
import { SqlServiceClientStore } from '../../src/database/sql-service-client-store.ts';
import { UpstreamError } from '../../src/errors.ts';
import {
  bodyOf,
  openAuthorizationServer,
  origin,
  resource,
  type TestAuthorizationServer,
} from '../authorization-server.ts';
import { useDatabaseTargets } from '../database-targets.ts';
import { createProof, jwtBearer, openPrograms, type Programs } from '../programs.ts';

describe.each(useDatabaseTargets())('on %s', (_database, makeTarget) => {
  let programs: Programs;
  let open: TestAuthorizationServer;

  beforeEach(async () => {
    programs = await openPrograms({ target: await makeTarget() });
    open = programs.server;
  });
  afterEach(() => programs.close());

  describe('client credentials', () => {
    test('give a client that an operator made a token of its tenant, its role and no more than its scopes', async () => {
      const reply = await programs.askOwn({ scope: 'notes:read notes:admin', resource });
      expect([reply.status, bodyOf(reply)['scope']]).toEqual([200, 'notes:read']);
      expect(bodyOf(reply)['refresh_token']).toBeUndefined();
      expect(decodeJwt(String(bodyOf(reply)['access_token']))).toMatchObject({
        sub: programs.made.client.id,
        client_id: programs.made.client.id,
        aud: resource,
        tenant: 'harbour',
        role: 'worker',
        scope: 'notes:read',
      });
      expect(bodyOf(await programs.askOwn())['scope']).toBe('notes:read notes:write');
    });

    test('end with the client, whose tokens are revoked', async () => {
      await programs.clients.revoke(programs.made.client.id);
      expect((await programs.askOwn()).status).toBe(401);
      expect(new Set(open.revoked)).toEqual(new Set([`client:${programs.made.client.id}`]));
      await expect(programs.clients.revoke(programs.made.client.id)).rejects.toMatchObject({
        code: 'not_found',
      });
    });

    test('end with the client also when its tokens could be revoked only the second time', async () => {
      const clients = new SqlServiceClientStore(open.database);
      const revoked: (readonly [string, boolean])[] = [];
      let isAway = true;
      const service = new ClientService({
        clients,
        revoke: async (_, name) => {
          if (isAway) throw new UpstreamError('database', 'away');
          revoked.push([name, (await clients.findById(name)) !== undefined]);
        },
      });
      const { id } = programs.made.client;
      await expect(service.revoke(id)).rejects.toBeInstanceOf(UpstreamError);
      isAway = false;
      await service.revoke(id);
      // Also what it got while it was still there.
      expect(revoked.at(-1)).toEqual([id, false]);
    });

    test('are bound to a key that is proven along with them', async () => {
      const pair = await generateKeyPair('ES256');
      const fields = { grant_type: 'client_credentials', ...(await programs.prove()) };
      const reply = await programs.askToken(fields, { dpop: await createProof(pair) });
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
      programs.clients.create({
        name: 'Keyed',
        tenantId: 'harbour',
        role: 'worker',
        scopes: ['*'],
        keys: { jwks },
      });

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
      ['a key that signs nothing', () => ({ kty: 'OKP', crv: 'X25519', x: 'a' }), 'Ed25519'],
      ['a broken key', () => ({ kty: 'EC', crv: 'P-256', x: 'a', y: 'b' }), 'not a JSON Web Key'],
    ])('are refused: %s', async (_, make, problem) => {
      await expect(create(await make())).rejects.toThrow(problem);
    });

    test('where they are published must be an https URL', async () => {
      await expect(
        programs.clients.create({
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
        programs.clients.create({ name: 'x', tenantId: 'nowhere', role: 'worker', scopes: ['*'] }),
      ).rejects.toThrow('There is no tenant nowhere');
    });
  });

  describe('an assertion of the company of a user', () => {
    test('gives the client a token for that user, without a browser and without a refresh token', async () => {
      const reply = await programs.redeem(await programs.assert());
      expect(reply.status).toBe(200);
      const { access_token: token, ...rest } = bodyOf(reply);
      expect(rest).toEqual({ token_type: 'Bearer', expires_in: 3600, scope: 'notes:read' });
      const user = await open.users.findByIdentity(programs.company.url, 'grace');
      expect(decodeJwt(String(token))).toMatchObject({
        iss: origin,
        sub: user?.id,
        client_id: programs.made.client.id,
        aud: resource,
        tenant: 'harbour',
        role: 'member',
      });
    });

    test('gives no more than what is asked for, asserted and had, all three', async () => {
      const scope = 'notes:read notes:write notes:admin';
      expect(bodyOf(await programs.redeem(await programs.assert({ scope })))['scope']).toBe(
        'notes:read notes:write',
      );
      expect(
        bodyOf(await programs.redeem(await programs.assert({ scope }), { scope: 'notes:write' }))['scope'],
      ).toBe('notes:write');
      expect((await programs.redeem(await programs.assert(), { scope: 'notes:write' })).status).toBe(400);
      // One that names none leaves it to the membership.
      expect(bodyOf(await programs.redeem(await programs.assert({ scope: undefined })))['scope']).toBe(
        'notes:read',
      );
      expect(
        bodyOf(await programs.redeem(await programs.assert({ scope: undefined }), { scope }))['scope'],
      ).toBe('notes:read notes:write');
    });

    test('is not used up by a request that gives nothing', async () => {
      const assertion = await programs.assert();
      expect((await programs.redeem(assertion, { scope: 'notes:write' })).status).toBe(400);
      expect((await programs.redeem(assertion)).status).toBe(200);
    });

    test('is bound to a key that is proven along with it; a proof that does not hold gives nothing', async () => {
      const pair = await generateKeyPair('ES256');
      const assertion = await programs.assert();
      const wrong = [{ htm: 'GET' }, { htu: resource }, { iat: 1_700_000_000 }];
      for (const changes of wrong) {
        const reply = await programs.redeem(assertion, {}, { dpop: await createProof(pair, changes) });
        expect([reply.status, bodyOf(reply)['error']]).toEqual([400, 'invalid_dpop_proof']);
      }
      const reply = await programs.redeem(assertion, {}, { dpop: await createProof(pair) });
      expect(bodyOf(reply)['token_type']).toBe('DPoP');
      const jkt = await calculateJwkThumbprint(await exportJWK(pair.publicKey));
      expect(decodeJwt(String(bodyOf(reply)['access_token']))['cnf']).toEqual({ jkt });
    });

    test('is judged later while the keys of its issuer cannot be had', async () => {
      programs.company.isDown = true;
      const reply = await programs.redeem(await programs.assert());
      expect([reply.status, bodyOf(reply)['error']]).toEqual([503, 'temporarily_unavailable']);
    });

    test('rests nowhere, and its id as a hash alone', async () => {
      const jti = randomUUID();
      await programs.redeem(await programs.assert({ jti }));
      const rows = await open.database.kysely
        .selectFrom('mcp_oauth_record')
        .selectAll()
        .where('model', '=', 'IdentityAssertion')
        .execute();
      expect(rows).toHaveLength(1);
      expect(rows[0]?.id_hash).toBe(
        createHash('sha256').update(`${programs.company.url} ${jti}`).digest('hex'),
      );
      expect(JSON.stringify(rows)).not.toContain(jti);
    });
  });
});
