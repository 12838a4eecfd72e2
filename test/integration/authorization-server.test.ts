/**
 * The authorization server's own promises, on every database; what many do at once is in `authorization-server-parallel.test.ts`,
 * and what real clients send in `authorization-server-clients.test.ts`.
 */
import { randomUUID } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SqlTenantStore } from '../../src/database/sql-tenant-store.ts';
import {
  account,
  answerOf,
  begin,
  bodyOf,
  connect,
  headerOf,
  openAuthorizationServer,
  origin,
  redirectUri,
  register,
  resource,
  type TestAuthorizationServer,
  TestBrowser,
  toRedemption,
  toRefresh,
} from '../authorization-server.ts';
import { useDatabaseTargets } from '../database-targets.ts';

describe.each(useDatabaseTargets())('on %s', (_database, makeTarget) => {
  let open: TestAuthorizationServer;
  let browser: TestBrowser;

  beforeEach(async () => {
    open = await openAuthorizationServer({ target: await makeTarget() });
    browser = new TestBrowser(open);
  });
  afterEach(() => open.close());

  function newClient(more: Readonly<Record<string, unknown>> = {}): Promise<string> {
    return register(open, { client_name: 'Client', redirect_uris: [redirectUri], ...more });
  }

  describe('codes', () => {
    test('a code becomes a token for this server alone, that says who, for whom and what', async () => {
      const { tokens, attempt } = await connect(open);
      const token = String(tokens['access_token']);
      expect(decodeProtectedHeader(token)).toMatchObject({ alg: 'ES256', typ: 'at+jwt' });
      expect(decodeJwt(token)).toMatchObject({
        iss: origin,
        aud: resource,
        sub: open.userId,
        client_id: attempt.clientId,
        tenant: 'harbour',
        role: 'member',
        scope: 'notes:read',
      });
      expect(tokens).toMatchObject({ token_type: 'Bearer', expires_in: 3600, scope: 'notes:read' });
    });

    test('a code that comes again is refused, and ends what came of it', async () => {
      const { attempt, code, tokens } = await connect(open);
      const again = await open.ask('/oauth/token', { body: toRedemption(attempt, code) });
      expect([again.status, bodyOf(again)['error']]).toEqual([400, 'invalid_grant']);
      const gid = decodeJwt(String(tokens['access_token']))['gid'];
      expect(open.revoked).toContain(`grant:${String(gid)}`);
      const refreshed = await open.ask('/oauth/token', {
        body: toRefresh(attempt.clientId, tokens['refresh_token']),
      });
      expect(bodyOf(refreshed)['error']).toBe('invalid_grant');
    });

    test.each([
      ['another verifier', { code_verifier: 'x'.repeat(43) }],
      ['another redirect URI', { redirect_uri: `${redirectUri}/` }],
      ['another resource', { resource: 'https://other.example/mcp' }],
      ['no verifier', { code_verifier: '' }],
    ])('a code is not redeemed with %s', async (_name, change) => {
      const attempt = begin(await newClient(), redirectUri);
      const code = answerOf(await browser.authorize(attempt.url)).get('code') ?? '';
      const reply = await open.ask('/oauth/token', { body: toRedemption(attempt, code, change) });
      expect(reply.status).toBe(400);
      expect(reply.body).not.toContain('access_token');
    });

    test('a code is not redeemed by another client', async () => {
      const other = await newClient({ client_name: 'Other' });
      const attempt = begin(await newClient(), redirectUri);
      const code = answerOf(await browser.authorize(attempt.url)).get('code') ?? '';
      const reply = await open.ask('/oauth/token', {
        body: toRedemption(attempt, code, { client_id: other }),
      });
      expect([reply.status, bodyOf(reply)['error']]).toEqual([400, 'invalid_grant']);
    });
  });

  describe('authorization requests', () => {
    test.each([
      ['plain PKCE', { code_challenge_method: 'plain' }],
      ['no PKCE', { code_challenge: undefined, code_challenge_method: undefined }],
      ['a challenge without method', { code_challenge_method: undefined }],
      ['the implicit flow', { response_type: 'token' }],
      ['a resource of another server', { resource: 'https://other.example/mcp' }],
    ])('%s is refused, and the answer says who refused it', async (_name, change) => {
      const visit = await browser.open(begin(await newClient(), redirectUri, change).url);
      expect(answerOf(visit).get('error')).toMatch(
        /invalid_request|unsupported_response_type|invalid_target/,
      );
      expect(answerOf(visit).get('iss')).toBe(origin);
      expect(answerOf(visit).get('state')).toBe('state of the client');
    });

    test('the answer names its issuer also when all is well, and when the user says no', async () => {
      const clientId = await newClient();
      const yes = await browser.authorize(begin(clientId, redirectUri).url);
      expect(answerOf(yes).get('iss')).toBe(origin);
      const page = await new TestBrowser(open).open(begin(clientId, redirectUri).url);
      const other = new TestBrowser(open);
      const mine = await other.open(begin(clientId, redirectUri).url);
      const no = await other.submit(mine, { decision: 'cancel' });
      expect(page.reply.status).toBe(200);
      expect(Object.fromEntries(answerOf(no))).toMatchObject({ error: 'access_denied', iss: origin });
    });

    test.each(['/mcp/', '', '/', '/MCP/../mcp'])(
      'the resource may be spelled with %j after the origin',
      async (path) => {
        const { tokens } = await connect(open, { resource: `${origin}${path}` });
        expect(decodeJwt(String(tokens['access_token'])).aud).toBe(resource);
      },
    );

    test('the resource may be spelled in capitals, with its port, or left out', async () => {
      for (const spelled of ['HTTPS://MCP.Example.COM/mcp', 'https://mcp.example.com:443/mcp', undefined]) {
        const { tokens } = await connect(open, { resource: spelled });
        expect(decodeJwt(String(tokens['access_token'])).aud).toBe(resource);
      }
    });

    test('a request without scope is one for the least; a scope that nobody knows is left out', async () => {
      expect((await connect(open, { scope: undefined })).tokens['scope']).toBe('notes:read');
      expect((await connect(open, { scope: 'notes:write unheard:of' })).tokens['scope']).toBe('notes:write');
    });

    test('a user cannot give what they may not do', async () => {
      const { tokens } = await connect(open, { scope: 'notes:read notes:admin' });
      expect(tokens['scope']).toBe('notes:read');
      const visit = await browser.authorize(
        begin(await newClient(), redirectUri, { scope: 'notes:admin' }).url,
      );
      expect(answerOf(visit).get('error')).toBe('access_denied');
    });

    test('a parameter that comes twice is refused', async () => {
      const { url } = begin(await newClient(), redirectUri);
      const { reply, location } = await browser.open(`${url}&scope=notes%3Awrite`);
      expect(location ?? `${reply.status}`).toMatch(/error=invalid_request|^400$/);
    });
  });

  describe('somebody else in the same browser', () => {
    const grace = { name: 'grace', password: 'a password of grace alone' };

    test.each(['switches at the consent page', 'is asked to sign in anew by the client'])(
      'who %s gets tokens of their own, and the other keeps theirs',
      async (way) => {
        const user = { id: randomUUID(), issuer: 'local', subject: 'grace', isActive: true, createdAt: 2 };
        await open.users.insert(user, `hash of ${grace.password}`);
        await open.users.setMembership({
          userId: user.id,
          tenantId: open.tenantId,
          role: 'member',
          scopes: ['notes'],
          isActive: true,
          createdAt: 2,
        });
        const browser = new TestBrowser(open);
        const first = await connect(open, {}, browser);
        const prompt = way.startsWith('is asked') ? 'login' : 'consent';
        const attempt = begin(first.attempt.clientId, redirectUri, { prompt });
        let page = await browser.open(attempt.url);
        if (way.startsWith('switches')) page = await browser.submit(page, { decision: 'switch' });
        page = await browser.submit(page, { ...grace, decision: 'continue' });
        expect(page.reply.body).toContain('You are signed in as <strong>grace</strong>');
        const answer = answerOf(await browser.submit(page, { decision: 'allow' }));
        const reply = await open.ask('/oauth/token', {
          body: toRedemption(attempt, answer.get('code') ?? ''),
        });
        expect(decodeJwt(String(bodyOf(reply)['access_token'])).sub).toBe(user.id);

        const body = toRefresh(first.attempt.clientId, first.tokens['refresh_token']);
        const refreshed = bodyOf(await open.ask('/oauth/token', { body }));
        expect(decodeJwt(String(refreshed['access_token'])).sub).toBe(open.userId);
      },
    );
  });

  describe('somebody in two tenants', () => {
    beforeEach(async () => {
      await new SqlTenantStore(open.database).insert({ id: 'quay', name: 'Quay', createdAt: 2 });
      await open.users.setMembership({
        userId: open.userId,
        tenantId: 'quay',
        role: 'member',
        scopes: ['notes:read', 'notes:write'],
        isActive: true,
        createdAt: 2,
      });
    });

    test('is asked for more for the tenant that was chosen before', async () => {
      const browser = new TestBrowser(open);
      const clientId = await register(open, { client_name: 'Client', redirect_uris: [redirectUri] });
      const login = await browser.open(begin(clientId, redirectUri).url);
      const first = await browser.submit(login, { ...account, decision: 'continue' });
      expect(first.reply.body).toMatch(/value="harbour"\s+checked/);
      await browser.submit(first, { tenant: 'quay', decision: 'allow' });
      const more = await browser.open(begin(clientId, redirectUri, { scope: 'notes:read notes:write' }).url);
      expect(more.reply.body).toMatch(/value="quay"\s+checked/);
      expect(more.reply.body).not.toMatch(/value="harbour"\s+checked/);
    });

    test('is not promised what no tenant of theirs gives', async () => {
      const browser = new TestBrowser(open);
      const clientId = await register(open, { client_name: 'Client', redirect_uris: [redirectUri] });
      const { url } = begin(clientId, redirectUri, { scope: 'notes:write notes:admin' });
      const page = await browser.submit(await browser.open(url), { ...account, decision: 'continue' });
      expect(page.reply.body).toContain('Change your notes');
      expect(page.reply.body).not.toContain('Delete everything');
    });
  });

  describe('redirects', () => {
    test.each([
      `${redirectUri}/more`,
      `${redirectUri}?a=1`,
      'https://client.example.evil.example/callback',
      'https://client.example/callback/../other',
      'http://client.example/callback',
      'https://client.example:8443/callback',
    ])('%s is not the registered one: a page says so, and nobody is sent there', async (uri) => {
      const visit = await browser.open(begin(await newClient(), uri).url);
      expect(visit.location).toBeUndefined();
      expect(visit.reply.status).toBe(400);
      expect(headerOf(visit.reply, 'content-security-policy')).toContain("default-src 'none'");
    });

    test.each(['http://localhost', 'http://127.0.0.1', 'http://[::1]'])(
      'on the loopback address %s any port will do, and nothing else may differ',
      async (host) => {
        const clientId = await newClient({ redirect_uris: [`${host}/callback`, `${host}:3118/other`] });
        for (const uri of [`${host}:51234/callback`, `${host}:51234/other`]) {
          const attempt = begin(clientId, uri);
          const code = answerOf(await browser.authorize(attempt.url)).get('code') ?? '';
          const reply = await open.ask('/oauth/token', { body: toRedemption(attempt, code) });
          expect(reply.status).toBe(200);
        }
        expect((await browser.open(begin(clientId, `${host}:51234/third`).url)).location).toBeUndefined();
      },
    );

    test('the token request must name the very port that was used', async () => {
      const clientId = await newClient({ redirect_uris: ['http://localhost/callback'] });
      const attempt = begin(clientId, 'http://localhost:5000/callback');
      const code = answerOf(await browser.authorize(attempt.url)).get('code') ?? '';
      const body = toRedemption(attempt, code, { redirect_uri: 'http://localhost:5001/callback' });
      expect(bodyOf(await open.ask('/oauth/token', { body }))['error']).toBe('invalid_grant');
    });
  });

  describe('refreshing', () => {
    test('gives a new refresh token; the one before is good for 45 seconds, and later ends the grant', async () => {
      const { attempt, tokens } = await connect(open);
      const first = tokens['refresh_token'];
      const ask = async (token: unknown) =>
        open.ask('/oauth/token', { body: toRefresh(attempt.clientId, token) });
      const second = bodyOf(await ask(first))['refresh_token'];
      expect(second).not.toBe(first);
      open.clock.aheadMs = 40_000;
      expect((await ask(first)).status).toBe(200);
      const third = bodyOf(await ask(second))['refresh_token'];
      expect(open.revoked).toEqual([]);
      open.clock.aheadMs = 60_000;
      expect(bodyOf(await ask(first))['error']).toBe('invalid_grant');
      expect(new Set(open.revoked).size).toBe(1);
      expect(bodyOf(await ask(third))['error']).toBe('invalid_grant');
    });

    test('may ask for fewer scopes, never for more, and fewer once is not fewer for good', async () => {
      const { attempt, tokens } = await connect(open, { scope: 'notes:read notes:write' });
      const ask = async (token: unknown, scope?: string) =>
        open.ask('/oauth/token', {
          body: toRefresh(attempt.clientId, token, scope === undefined ? {} : { scope }),
        });
      const less = bodyOf(await ask(tokens['refresh_token'], 'notes:read'));
      expect(less['scope']).toBe('notes:read');
      const full = bodyOf(await ask(less['refresh_token']));
      expect(String(full['scope']).split(' ').toSorted()).toEqual(['notes:read', 'notes:write']);
      const more = await ask(full['refresh_token'], 'notes:read notes:admin');
      expect(more.status === 400 || !more.body.includes('notes:admin')).toBe(true);
    });

    test('works with the resource, without it, and with the origin', async () => {
      const { attempt, tokens } = await connect(open);
      let token = tokens['refresh_token'];
      for (const more of [{ resource }, {}, { resource: `${origin}/` }]) {
        const reply = bodyOf(
          await open.ask('/oauth/token', { body: toRefresh(attempt.clientId, token, more) }),
        );
        expect(decodeJwt(String(reply['access_token'])).aud).toBe(resource);
        token = reply['refresh_token'];
      }
    });

    test('is not for another client, a user who was switched off, or one who left the tenant', async () => {
      const { attempt, tokens } = await connect(open);
      const other = await newClient({ client_name: 'Other' });
      const token = tokens['refresh_token'];
      const ask = async (clientId: string) =>
        bodyOf(await open.ask('/oauth/token', { body: toRefresh(clientId, token) }))['error'];
      expect(await ask(other)).toBe('invalid_grant');
      await open.users.removeMembership(open.userId, open.tenantId);
      expect(await ask(attempt.clientId)).toBe('invalid_grant');
      await open.users.update(open.userId, { isActive: false });
      expect(await ask(attempt.clientId)).toBe('invalid_grant');
    });

    test('in answer to a refusal for scopes is refused once, and the token stays good', async () => {
      const { attempt, tokens } = await connect(open);
      const body = toRefresh(attempt.clientId, tokens['refresh_token']);
      await open.server.noticeStepUp(String(decodeJwt(String(tokens['access_token']))['gid']));
      expect(bodyOf(await open.ask('/oauth/token', { body }))['error']).toBe('interaction_required');
      expect((await open.ask('/oauth/token', { body })).status).toBe(200);
    });

    test('a client of which nothing is known is told so with 401', async () => {
      const reply = await open.ask('/oauth/token', { body: toRefresh('nobody', 'x') });
      expect([reply.status, bodyOf(reply)['error']]).toEqual([401, 'invalid_client']);
    });
  });

  describe('more scopes', () => {
    test('come with a second authorization request, whatever scope the client registered with', async () => {
      const clientId = await newClient({ scope: 'notes:read' });
      for (const scope of ['notes:read', 'notes:read notes:write']) {
        const attempt = begin(clientId, redirectUri, { scope });
        const code = answerOf(await browser.authorize(attempt.url)).get('code') ?? '';
        const tokens = bodyOf(await open.ask('/oauth/token', { body: toRedemption(attempt, code) }));
        expect(tokens['scope']).toBe(scope);
      }
    });
  });

  describe('registration', () => {
    test('of the same metadata gives the same client, and leaves out what would narrow it', async () => {
      const metadata = { client_name: 'Client', redirect_uris: [redirectUri], scope: 'notes:read' };
      const replies = await Promise.all(
        Array.from({ length: 5 }, () => open.ask('/oauth/register', { body: JSON.stringify(metadata) })),
      );
      expect(new Set(replies.map((reply) => bodyOf(reply)['client_id'])).size).toBe(1);
      expect(replies.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
      expect(String(replies[0]?.body)).not.toContain('"scope"');
      expect(await newClient({ client_name: 'Other' })).not.toBe(await newClient(metadata));
    });

    test('of two clients with secrets gives each its own', async () => {
      const [one, other] = await Promise.all(
        [1, 2].map(() => newClient({ token_endpoint_auth_method: 'client_secret_basic' })),
      );
      expect(one).not.toBe(other);
    });

    test.each([
      'javascript:alert(1)',
      'data:text/html,x',
      'http://client.example/callback',
      'https://client.example/callback#fragment',
      'https://user:pass@client.example/callback',
      'https://*.client.example/callback',
      'file:///etc/passwd',
    ])('with the redirect URI %s is refused', async (uri) => {
      const body = JSON.stringify({ client_name: 'Client', redirect_uris: [redirectUri, uri] });
      const reply = await open.ask('/oauth/register', { body });
      expect([reply.status, bodyOf(reply)['error']]).toEqual([400, 'invalid_redirect_uri']);
    });

    test.each(['', 'null', '[]', '{"redirect_uris":"x"}', '{"redirect_uris":[]}', '{'])(
      'of %j is refused in the words of the protocol',
      async (body) => {
        const reply = await open.ask('/oauth/register', { method: 'POST', body });
        expect(reply.status).toBe(400);
        expect(bodyOf(reply)['error']).toMatch(/^invalid_/);
      },
    );
  });

  describe('revocation', () => {
    test('of an access token ends it; another client cannot end it', async () => {
      const { attempt, tokens } = await connect(open);
      const token = String(tokens['access_token']);
      const other = await newClient({ client_name: 'Other' });
      const ask = (clientId: string) =>
        open.ask('/oauth/revoke', { body: new URLSearchParams({ token, client_id: clientId }) });
      expect((await ask(other)).status).toBe(200);
      expect(open.revoked).toEqual([]);
      expect((await ask(attempt.clientId)).status).toBe(200);
      expect(open.revoked).toEqual([`token:${decodeJwt(token).jti}`]);
    });

    test('of a refresh token by another client, with a secret or without, changes nothing', async () => {
      const { attempt, tokens } = await connect(open);
      const token = String(tokens['refresh_token']);
      const other = bodyOf(
        await open.ask('/oauth/register', {
          body: JSON.stringify({
            redirect_uris: [redirectUri],
            token_endpoint_auth_method: 'client_secret_post',
          }),
        }),
      );
      const secretive = {
        client_id: String(other['client_id']),
        client_secret: String(other['client_secret']),
      };
      for (const who of [secretive, { client_id: await newClient({ client_name: 'Other' }) }]) {
        const reply = await open.ask('/oauth/revoke', { body: new URLSearchParams({ token, ...who }) });
        expect(reply.status).toBe(200);
      }
      expect(open.revoked).toEqual([]);
      const body = toRefresh(attempt.clientId, token);
      expect((await open.ask('/oauth/token', { body })).status).toBe(200);
    });

    test('of a refresh token ends everything that came of the grant', async () => {
      const { attempt, tokens } = await connect(open);
      const body = new URLSearchParams({
        token: String(tokens['refresh_token']),
        client_id: attempt.clientId,
      });
      expect((await open.ask('/oauth/revoke', { body })).status).toBe(200);
      const gid = String(decodeJwt(String(tokens['access_token']))['gid']);
      expect(new Set(open.revoked)).toEqual(new Set([`grant:${gid}`]));
      const refreshed = await open.ask('/oauth/token', {
        body: toRefresh(attempt.clientId, tokens['refresh_token']),
      });
      expect(bodyOf(refreshed)['error']).toBe('invalid_grant');
    });
  });

  test('the metadata say what clients must know, and name the issuer as it is', async () => {
    for (const name of ['oauth-authorization-server', 'openid-configuration']) {
      const metadata = bodyOf(await open.ask(`/.well-known/${name}`));
      expect(metadata).toMatchObject({
        issuer: origin,
        code_challenge_methods_supported: ['S256'],
        authorization_response_iss_parameter_supported: true,
        client_id_metadata_document_supported: true,
        registration_endpoint: `${origin}/oauth/register`,
        revocation_endpoint: `${origin}/oauth/revoke`,
      });
      expect(metadata['token_endpoint_auth_methods_supported']).toContain('none');
      expect(metadata['scopes_supported']).toEqual(['openid', 'offline_access', 'notes:read']);
    }
  });

  test('what rests in the database cannot be redeemed: no code, token, secret or password is in it', async () => {
    const secretive = bodyOf(
      await open.ask('/oauth/register', {
        body: JSON.stringify({
          redirect_uris: [redirectUri],
          token_endpoint_auth_method: 'client_secret_basic',
        }),
      }),
    );
    const { code, tokens } = await connect(open, {}, browser);
    const cookies = [...browser.cookies.values()].map(({ value }) => value);
    const rows = await Promise.all(
      (['mcp_oauth_record', 'mcp_oauth_client'] as const).map((table) =>
        open.database.kysely.selectFrom(table).selectAll().execute(),
      ),
    );
    const text = JSON.stringify(rows);
    expect(rows.flat().length).toBeGreaterThan(3);
    const secrets = [
      secretive['client_secret'],
      code,
      tokens['access_token'],
      tokens['refresh_token'],
      ...cookies,
    ];
    for (const secret of secrets) {
      expect(typeof secret === 'string' && secret.length > 10).toBe(true);
      expect(text.includes(String(secret))).toBe(false);
    }
  });
});
