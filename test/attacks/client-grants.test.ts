/** Attacks on the grants of programs: proofs and assertions that are forged, misdirected, replayed, or somebody else's. */
import { decodeJwt, generateKeyPair } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bodyOf, origin, register, resource, type TestAuthorizationServer } from '../authorization-server.ts';
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
    test('are for nobody who registered alone, and for no proof that does not hold', async () => {
      const clientId = await register(open, {
        client_name: 'Client',
        redirect_uris: ['https://client.example/callback'],
      });
      const own = await programs.askToken({ grant_type: 'client_credentials', client_id: clientId });
      expect([own.status, own.body]).toEqual([400, expect.stringContaining('not allowed for this client')]);
      const other = await programs.clients.create({
        name: 'Other',
        tenantId: 'harbour',
        role: 'worker',
        scopes: ['*'],
      });
      const wrong: readonly Readonly<Record<string, unknown>>[] = [
        { aud: 'https://elsewhere.example' },
        { exp: 1_700_000_000 },
        { iss: other.client.id },
        { sub: other.client.id, iss: other.client.id },
      ];
      for (const changes of wrong)
        expect([(await programs.askOwn({}, changes)).status, changes]).toEqual([401, changes]);
      const without = await programs.askToken({
        grant_type: 'client_credentials',
        client_id: programs.made.client.id,
      });
      expect([without.status, bodyOf(without)['error']]).toEqual([401, 'invalid_client']);
    });

    test('give nothing for scopes that are unknown, narrower than ours, or not its own', async () => {
      for (const scope of ['made:up', 'notes:read:mine', '*']) {
        const reply = await programs.askOwn({ scope });
        expect([scope, reply.status, decodeJwt(String(bodyOf(reply)['access_token']))['scope']]).toEqual([
          scope,
          200,
          '',
        ]);
      }
      const reply = await programs.askOwn({ scope: 'notes:admin' });
      expect([reply.status, bodyOf(reply)['error']]).toEqual([400, 'invalid_scope']);
      // They ask for nothing of the server, and are among what its metadata name.
      expect(bodyOf(await programs.askOwn({ scope: 'openid offline_access' }))['scope']).toBe(
        'notes:read notes:write',
      );
    });

    test('take each proof once', async () => {
      const proof = await programs.prove();
      const fields = { grant_type: 'client_credentials', ...proof };
      expect((await programs.askToken(fields)).status).toBe(200);
      expect((await programs.askToken(fields)).status).toBe(401);
    });

    test.each(['the proof of the client', 'the proof of a key'])(
      'take each proof once, of many at once, on all instances: %s',
      async (which) => {
        const pair = await generateKeyPair('ES256');
        const client = await programs.prove();
        const dpop = await createProof(pair);
        const other = await open.openOther();
        // Both have their engines, so that none waits while the other is done.
        for (const each of [open, other]) await each.ask('/.well-known/oauth-authorization-server');
        try {
          const asked = await Promise.all(
            Array.from({ length: 16 }, async (_, n) =>
              (n % 2 === 0 ? open : other).ask('/oauth/token', {
                body: new URLSearchParams({
                  grant_type: 'client_credentials',
                  ...(which === 'the proof of a key' ? await programs.prove() : client),
                }),
                headers: which === 'the proof of a key' ? { dpop } : {},
              }),
            ),
          );
          expect(asked.filter(({ status }) => status === 200)).toHaveLength(1);
          for (const { status } of asked) expect([200, 400, 401]).toContain(status);
        } finally {
          await other.close();
        }
      },
    );
  });

  describe('an assertion of the company of a user', () => {
    test('is good once, of many at once, on all instances', async () => {
      const other = await open.openOther();
      try {
        const assertion = await programs.assert();
        const asked = await Promise.all(
          Array.from({ length: 8 }, async (_, n) =>
            (n % 2 === 0 ? open : other).ask('/oauth/token', {
              body: new URLSearchParams({ grant_type: jwtBearer, assertion, ...(await programs.prove()) }),
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
      ['of another type', () => programs.assert({}, { typ: 'JWT' })],
      ['that is an access token', () => programs.assert({}, { typ: 'at+jwt' })],
      ['signed by nobody we know', async () => programs.assert({}, { key: await generateKeyPair('ES256') })],
      ['of an issuer that is not trusted', () => programs.assert({ iss: 'https://evil.example' })],
      ['for another server', () => programs.assert({ aud: 'https://elsewhere.example' })],
      ['for several servers', () => programs.assert({ aud: [origin, 'https://elsewhere.example'] })],
      ['for another client', () => programs.assert({ client_id: 'somebody else' })],
      ['for no client', () => programs.assert({ client_id: undefined })],
      ['for another resource', () => programs.assert({ resource: 'https://elsewhere.example/mcp' })],
      ['for no resource', () => programs.assert({ resource: undefined })],
      ['that has ended', () => programs.assert({ iat: 1_700_000_000, exp: 1_700_000_300 })],
      ['that lives for a day', () => programs.assert({ exp: Math.floor(Date.now() / 1000) + 86_400 })],
      ['without an id of its own', () => programs.assert({ jti: undefined })],
      ['whose scopes are a list, not text', () => programs.assert({ scope: ['notes:read'] })],
      ['whose scopes are none', () => programs.assert({ scope: ' ' })],
      ['of a user who is not here', () => programs.assert({ sub: 'nobody' })],
    ];
    test.each(bad)('is refused: %s', async (_, make) => {
      const reply = await programs.redeem(await make());
      expect([reply.status, bodyOf(reply)['error']]).toEqual([400, 'invalid_grant']);
    });

    test('needs a user who is active here', async () => {
      const user = await open.users.findByIdentity(programs.company.url, 'grace');
      await open.users.update(user?.id ?? '', { isActive: false });
      expect((await programs.redeem(await programs.assert())).status).toBe(400);
    });

    test('needs a client that proves who it is, and that asked for the grant', async () => {
      const publicClient = await register(open, {
        client_name: 'Public',
        redirect_uris: ['https://client.example/callback'],
        grant_types: ['authorization_code', jwtBearer],
      });
      const fields = { grant_type: jwtBearer, resource };
      const refused = await programs.askToken({
        ...fields,
        client_id: publicClient,
        assertion: await programs.assert({ client_id: publicClient }),
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
      const assertion = await programs.assert({ client_id: id });
      const own = { ...fields, client_id: id ?? '', client_secret: secret ?? '', assertion };
      expect((await programs.askToken({ ...own, client_secret: 'wrong' })).status).toBe(401);
      expect((await programs.askToken(own)).status).toBe(200);
    });
  });
});
