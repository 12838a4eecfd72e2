/** Attacks on the authorization server. Each test is one attack, or a row of them, that must not succeed. */
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeJwt, exportJWK, generateKeyPair, type GenerateKeyPairResult, SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  account,
  answerOf,
  begin,
  bodyOf,
  connect,
  headerOf,
  openAuthorizationServer,
  origin,
  readForm,
  redirectUri,
  register,
  type TestAuthorizationServer,
  TestBrowser,
  type TestServerOptions,
  toRedemption,
  toRefresh,
  type Visit,
} from '../authorization-server.ts';
import { useDatabaseTargets } from '../database-targets.ts';

describe.each(useDatabaseTargets())('on %s', (_database, makeTarget) => {
  let open: TestAuthorizationServer;
  let victim: TestBrowser;

  beforeEach(async () => {
    open = await openAuthorizationServer({ target: await makeTarget() });
    victim = new TestBrowser(open);
  });
  afterEach(() => open.close());

  async function newAttempt(parameters: Readonly<Record<string, string | undefined>> = {}) {
    const clientId = await register(open, { client_name: 'Client', redirect_uris: [redirectUri] });
    return begin(clientId, redirectUri, parameters);
  }

  /** The victim's browser at the consent page. */
  async function openConsent(parameters: Readonly<Record<string, string>> = {}): Promise<Visit> {
    const page = await victim.open((await newAttempt(parameters)).url);
    const consent = await victim.submit(page, { ...account, decision: 'continue' });
    expect(consent.reply.body).toContain('value="allow"');
    return consent;
  }

  describe('forms that are not ours', () => {
    test.each([
      ['no token', {}, origin],
      ['a made-up token', { token: 'k.made-up' }, origin],
      ['the right token from another site', undefined, 'https://evil.example'],
      ['the right token from nowhere', undefined, 'null'],
    ])('consent with %s', async (_name, fields, from) => {
      const page = await openConsent();
      const form = { ...(fields ?? readForm(page.reply.body)), tenant: 'harbour', decision: 'allow' };
      const reply = await victim.ask(page.at, {
        body: new URLSearchParams(form),
        headers: { origin: from },
      });
      expect([reply.status, headerOf(reply, 'location')]).toEqual([403, undefined]);
    });

    test("consent with the token of the attacker's own page", async () => {
      const attacker = new TestBrowser(open);
      const theirs = readForm((await attacker.open((await newAttempt()).url)).reply.body);
      const page = await openConsent();
      const form = new URLSearchParams({ ...theirs, tenant: 'harbour', decision: 'allow' });
      expect((await victim.ask(page.at, { body: form, headers: { origin } })).status).toBe(403);
    });

    test('consent with the token of the sign-in page', async () => {
      const signIn = await victim.open((await newAttempt()).url);
      const early = readForm(signIn.reply.body);
      const page = await victim.submit(signIn, { ...account, decision: 'continue' });
      const form = new URLSearchParams({ ...early, tenant: 'harbour', decision: 'allow' });
      expect((await victim.ask(page.at, { body: form, headers: { origin } })).status).toBe(403);
    });

    test('consent as JSON, which other sites can send without being asked', async () => {
      const page = await openConsent();
      const fields = { ...readForm(page.reply.body), decision: 'allow' };
      const reply = await victim.ask(page.at, { body: JSON.stringify(fields), headers: { origin } });
      expect(headerOf(reply, 'location')).toBeUndefined();
    });

    test("signing the victim in as somebody else with a form of the attacker's", async () => {
      const page = await victim.open((await newAttempt()).url);
      const form = new URLSearchParams({ ...account, decision: 'continue' });
      const reply = await victim.ask(page.at, { body: form, headers: { origin: 'https://evil.example' } });
      expect(reply.status).toBe(403);
    });

    test('opening a page allows nothing by itself, and allowing once is for one client', async () => {
      await victim.authorize((await newAttempt()).url);
      const clientId = await register(open, { client_name: 'Another', redirect_uris: [redirectUri] });
      const visit = await victim.open(begin(clientId, redirectUri).url);
      expect(visit.location).toBeUndefined();
      expect(visit.reply.body).toContain('value="allow"');
    });
  });

  describe('sessions of others', () => {
    test("the link of the attacker's interaction, opened by the victim", async () => {
      const page = await new TestBrowser(open).open((await newAttempt()).url);
      const visit = await victim.open(page.at);
      expect(visit.reply.status).toBe(400);
      expect(visit.reply.body).not.toContain('<form');
    });

    test("a sign-in cookie of the attacker's, planted before the victim signs in", async () => {
      const attacker = new TestBrowser(open);
      const attempt = await newAttempt();
      await attacker.open(attempt.url);
      const planted = new Map(attacker.cookies);
      for (const [key, cookie] of planted) victim.cookies.set(key, cookie);
      expect(answerOf(await victim.authorize(attempt.url)).get('code')).not.toBeNull();
      const page = await attacker.open((await newAttempt({ state: 'again' })).url);
      expect(page.reply.body).toContain('type="password"');
    });

    test('a sign-in cookie that was altered, or whose signature was left out', async () => {
      await victim.authorize((await newAttempt()).url);
      const mine = [...victim.cookies].filter(([key]) => !key.includes('.sig'));
      const thief = new TestBrowser(open);
      for (const [key, cookie] of mine) thief.cookies.set(key, cookie);
      const page = await thief.open((await newAttempt({ state: 'again' })).url);
      expect(page.reply.body).toContain('type="password"');
    });

    test('cookies cannot be read by scripts, sent by other sites, or seen on the way', async () => {
      await victim.open((await newAttempt()).url);
      await victim.authorize((await newAttempt()).url);
      expect(victim.cookies.size).toBeGreaterThan(0);
      for (const { line } of victim.cookies.values())
        expect(line.toLowerCase()).toMatch(/^(?=.*; ?httponly)(?=.*; ?secure)(?=.*; ?samesite=lax)/);
      expect([...victim.cookies.keys()]).toContainEqual(expect.stringMatching(/^__Host-/));
    });

    test("a tenant that is not the user's, put into the form", async () => {
      const page = await openConsent();
      const visit = await victim.submit(page, { tenant: 'other', decision: 'allow' });
      expect(visit.location).toBeUndefined();
      expect(visit.reply.status).toBe(400);
    });

    test('a user who was switched off, with a browser that is still signed in', async () => {
      await victim.authorize((await newAttempt()).url);
      await open.users.update(open.userId, { isActive: false });
      const visit = await victim.open((await newAttempt({ scope: 'notes:write' })).url);
      expect(visit.location).toBeUndefined();
      expect(visit.reply.body).not.toContain('value="allow"');
    });
  });

  describe('pages', () => {
    const script = `"><script>alert(1)</script><img src=x onerror=alert(1)>`;

    test.each([
      ['client_name', { client_name: script }],
      ['logo_uri', { client_name: 'C', logo_uri: 'javascript:alert(1)' }],
      ['policy_uri', { client_name: 'C', policy_uri: 'javascript:alert(1)', tos_uri: `https://x/${script}` }],
      ['contacts', { client_name: 'C', contacts: [script] }],
    ])('a script in the %s of a registration', async (_name, metadata) => {
      const clientId = await register(open, { redirect_uris: [redirectUri], ...metadata });
      const first = await victim.open(begin(clientId, redirectUri, { state: script }).url);
      const wrong = await victim.submit(first, { name: script, password: script, decision: 'continue' });
      const consent = await victim.submit(wrong, { ...account, decision: 'continue' });
      for (const { reply } of [first, wrong, consent]) {
        expect(reply.body).toContain('<form');
        expect(reply.body).not.toMatch(/<script|<img|javascript:|onerror=alert\(1\)>/i);
        expect(headerOf(reply, 'content-security-policy')).toMatch(/^default-src 'none';/);
      }
    });

    test('a script in what an error page repeats', async () => {
      const { url } = begin(script, `https://x.example/${script}`, { scope: script });
      const { reply } = await victim.open(url);
      expect(reply.status).toBe(400);
      expect(reply.body).not.toMatch(/<script|<img/i);
    });

    test('pages in a frame of another site', async () => {
      for (const { reply } of [await victim.open((await newAttempt()).url), await openConsent()]) {
        expect(headerOf(reply, 'x-frame-options')).toBe('DENY');
        expect(headerOf(reply, 'content-security-policy')).toContain("frame-ancestors 'none'");
        expect(headerOf(reply, 'cache-control')).toBe('no-store');
      }
    });
  });

  describe('metadata documents', () => {
    const documentUrl = 'https://client.example/oauth/client.json';
    const good = { client_id: documentUrl, client_name: 'Document', redirect_uris: [redirectUri] };
    const json = { 'content-type': 'application/json' };

    async function visit(
      clientId: string,
      fetch: typeof globalThis.fetch,
      more: Pick<TestServerOptions, 'addresses'> = {},
    ): Promise<{ readonly page: Visit; readonly asked: number }> {
      let asked = 0;
      const server = await open.openOther({
        ...more,
        fetch: (...given) => {
          asked += 1;
          return fetch(...given);
        },
      });
      try {
        return { page: await new TestBrowser(server).open(begin(clientId, redirectUri).url), asked };
      } finally {
        await server.close();
      }
    }

    test('a good one lets its client in, so that the rest is refused for a reason', async () => {
      const { page } = await visit(documentUrl, () => Promise.resolve(Response.json(good)));
      expect(page.reply.body).toContain('type="password"');
    });

    test.each([
      'http://client.example/client.json',
      'https://client.example/',
      'https://client.example/client.json?of=me',
      'https://client.example:8443/client.json',
      'https://127.0.0.1/client.json',
      'https://localhost:6379/client.json',
      'https://[::1]/client.json',
      'https://[::ffff:10.0.0.1]/client.json',
      'https://169.254.169.254/latest/meta-data/iam',
      'https://2130706433/client.json',
      'https://user:pass@client.example/client.json',
      'file:///etc/passwd',
    ])('having the server look at %s', async (clientId) => {
      const { page, asked } = await visit(clientId, () => Promise.resolve(Response.json(good)));
      expect([page.location, asked]).toEqual([undefined, 0]);
      expect(page.reply.status).toBeGreaterThanOrEqual(400);
    });

    test.each([['10.0.0.1'], ['127.0.0.1'], ['169.254.169.254'], ['::1'], ['fd00::1']])(
      'a public name with the address %s',
      async (address) => {
        const answer = () => Promise.resolve(Response.json(good));
        const { page, asked } = await visit(documentUrl, answer, { addresses: ['93.184.216.34', address] });
        expect([page.location, asked]).toEqual([undefined, 0]);
      },
    );

    test.each<[string, () => Response]>([
      ['a redirect into the network', () => Response.redirect('https://10.0.0.1/', 302)],
      ['another client_id', () => Response.json({ ...good, client_id: 'https://other.example/c.json' })],
      ['no name', () => Response.json({ ...good, client_name: undefined })],
      ['no redirect URI', () => Response.json({ ...good, redirect_uris: [] })],
      ['a redirect URI with a script', () => Response.json({ ...good, redirect_uris: ['javascript:x'] })],
      ['another redirect URI', () => Response.json({ ...good, redirect_uris: ['https://a.example/b'] })],
      ['a page that is not JSON', () => new Response('<html>', { headers: { 'content-type': 'text/html' } })],
      ['JSON that says it is text', () => new Response(JSON.stringify(good))],
      ['a list', () => Response.json([good])],
      ['too many bytes', () => Response.json({ ...good, padding: 'x'.repeat(20_000) })],
      ['no end', () => new Response(endless(), { headers: json })],
      ['an error', () => new Response('{}', { status: 500 })],
    ])('a document with %s', async (_name, answer) => {
      const { page } = await visit(documentUrl, () => Promise.resolve(answer()));
      expect(page.location).toBeUndefined();
      expect(page.reply.body).not.toContain('<form');
      expect(page.reply.status).toBeGreaterThanOrEqual(400);
    });

    test('a name that is public when it is looked up, and of this machine when it is connected to', async () => {
      let reached = 0;
      const inside = createServer((_request, response) => {
        reached += 1;
        response.setHeader('content-type', 'application/json').end(JSON.stringify(good));
      });
      inside.listen(0, '127.0.0.1');
      await once(inside, 'listening');
      const { port } = inside.address() as AddressInfo;
      try {
        // As the name would be resolved the second time: what comes along with the request is what it is sent with.
        const rebound = (_input: unknown, init?: RequestInit) => fetch(`http://127.0.0.1:${port}/`, init);
        const { page, asked } = await visit(documentUrl, rebound);
        expect([page.location, reached]).toEqual([undefined, 0]);
        expect(asked).toBeGreaterThan(0);
      } finally {
        inside.closeAllConnections();
        inside.close();
      }
    });

    test('a document that never comes', async () => {
      // The engine waits two and a half seconds, twice; whether it gives up is the question, not when.
      const toTimeout = AbortSignal.timeout.bind(AbortSignal);
      const shortened = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => toTimeout(ms / 25));
      const never: typeof globalThis.fetch = (_input, init) =>
        new Promise((_resolve, reject) => {
          init?.signal?.addEventListener('abort', () => reject(new TypeError('aborted')));
        });
      const { page } = await visit(documentUrl, never).finally(() => shortened.mockRestore());
      expect(page.reply.status).toBeGreaterThanOrEqual(400);
    });

    /** A client that says where its keys are, and proves itself with one that may be among them. */
    async function proveBy(server: TestAuthorizationServer, jwksUri: string) {
      const clientId = await register(server, {
        redirect_uris: [redirectUri],
        token_endpoint_auth_method: 'private_key_jwt',
        jwks_uri: jwksUri,
      });
      const { privateKey } = await generateKeyPair('RS256');
      const assertion = await new SignJWT({ jti: randomUUID() })
        .setProtectedHeader({ alg: 'RS256', kid: 'k' })
        .setIssuer(clientId)
        .setSubject(clientId)
        .setAudience(origin)
        .setExpirationTime('1m')
        .setIssuedAt()
        .sign(privateKey);
      return server.ask('/oauth/token', {
        body: toRefresh(clientId, 'x', {
          client_assertion: assertion,
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        }),
      });
    }

    test('keys of a client at an address that is not public', async () => {
      const server = await open.openOther({ addresses: ['10.0.0.1'] });
      const reply = await proveBy(server, 'https://keys.example/jwks');
      expect(reply.status).toBeGreaterThanOrEqual(400);
      expect(reply.body).not.toContain('10.0.0.1');
      await server.close();
    });

    test.each([
      ['https://keys.example/jwks', 200],
      ['https://keys.example/jwks', 404],
      ['https://keys.example/jwks?of=me', 200],
      ['https://keys.example:8443/jwks', 200],
      ['https://keys.example/', 500],
    ])('keys of a client without end: %s, %i', async (jwksUri, status) => {
      let sentBytes = 0;
      const send = (): Promise<Response> => {
        const chunk = new Uint8Array(65_536);
        const body = new ReadableStream({
          pull(controller) {
            sentBytes += chunk.byteLength;
            controller.enqueue(chunk);
            // For a server that does not stop reading.
            if (sentBytes > 8_000_000) controller.close();
          },
        });
        return Promise.resolve(new Response(body, { status, headers: json }));
      };
      const server = await open.openOther({ fetch: send });
      const reply = await proveBy(server, jwksUri);
      await server.close();
      expect(reply.status).toBeGreaterThanOrEqual(400);
      expect(sentBytes).toBeGreaterThan(0);
      expect(sentBytes).toBeLessThan(1_000_000);
    });
  });

  describe('proofs of possession', () => {
    let pair: GenerateKeyPairResult;
    beforeEach(async () => {
      pair = await generateKeyPair('ES256', { extractable: true });
    });

    async function prove(claims: Readonly<Record<string, unknown>> = {}, by = pair): Promise<string> {
      return new SignJWT({ htm: 'POST', htu: `${origin}/oauth/token`, jti: randomUUID(), ...claims })
        .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: await exportJWK(by.publicKey) })
        .setIssuedAt()
        .sign(by.privateKey);
    }

    async function connectBound() {
      const attempt = await newAttempt();
      const code = answerOf(await victim.authorize(attempt.url)).get('code') ?? '';
      const proof = await prove();
      const reply = await open.ask('/oauth/token', {
        body: toRedemption(attempt, code),
        headers: { dpop: proof },
      });
      return { attempt, proof, tokens: bodyOf(reply) };
    }

    test('a proof binds the token to its key; without it, or with another key, it is not refreshed', async () => {
      const { attempt, tokens } = await connectBound();
      expect(tokens['token_type']).toBe('DPoP');
      expect(decodeJwt(String(tokens['access_token']))['cnf']).toHaveProperty('jkt');
      const body = toRefresh(attempt.clientId, tokens['refresh_token']);
      expect((await open.ask('/oauth/token', { body })).status).toBe(400);
      const dpop = await prove({}, await generateKeyPair('ES256', { extractable: true }));
      expect((await open.ask('/oauth/token', { body, headers: { dpop } })).status).toBe(400);
      expect((await open.ask('/oauth/token', { body, headers: { dpop: await prove() } })).status).toBe(200);
    });

    test('a proof that was used, is of another address or method, or of another time', async () => {
      const { attempt, tokens, proof } = await connectBound();
      const body = toRefresh(attempt.clientId, tokens['refresh_token']);
      for (const dpop of [
        proof,
        await prove({ htu: 'https://evil.example/oauth/token' }),
        await prove({ htm: 'GET' }),
        'not a proof',
      ]) {
        const reply = await open.ask('/oauth/token', { body, headers: { dpop } });
        expect([reply.status, reply.body.includes('access_token')]).toEqual([400, false]);
      }
    });

    test('a code that was bound to a key, redeemed without it', async () => {
      const jkt = createHash('sha256').update('another key').digest('base64url');
      const attempt = await newAttempt({ dpop_jkt: jkt });
      const code = answerOf(await victim.authorize(attempt.url)).get('code') ?? '';
      const body = toRedemption(attempt, code);
      expect((await open.ask('/oauth/token', { body })).status).toBe(400);
    });
  });

  describe('tokens and codes', () => {
    test('tokens of one kind presented as another', async () => {
      const { attempt, tokens, code } = await connect(open, { scope: 'openid notes:read' });
      for (const token of [tokens['access_token'], tokens['id_token'], code]) {
        const reply = await open.ask('/oauth/token', { body: toRefresh(attempt.clientId, token) });
        expect(bodyOf(reply)['error']).toBe('invalid_grant');
      }
      const refreshing = toRedemption(attempt, String(tokens['refresh_token']));
      expect(bodyOf(await open.ask('/oauth/token', { body: refreshing }))['error']).toBe('invalid_grant');
    });

    test('a token for the client itself, which belongs to no tenant', async () => {
      const reply = bodyOf(
        await open.ask('/oauth/register', {
          body: JSON.stringify({
            redirect_uris: [redirectUri],
            grant_types: ['client_credentials'],
            token_endpoint_auth_method: 'client_secret_post',
          }),
        }),
      );
      const body = new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: String(reply['client_id']),
        client_secret: String(reply['client_secret']),
        scope: 'notes:read',
      });
      const answer = await open.ask('/oauth/token', { body });
      expect([answer.status, answer.body.includes('access_token')]).toEqual([400, false]);
    });

    test.each(['password', 'urn:ietf:params:oauth:grant-type:device_code', 'implicit'])(
      'the grant %s, which is not offered',
      async (grantType) => {
        const { clientId } = await newAttempt();
        const body = new URLSearchParams({ grant_type: grantType, client_id: clientId, ...account });
        const reply = await open.ask('/oauth/token', { body });
        expect([reply.status, reply.body.includes('access_token')]).toEqual([400, false]);
      },
    );

    test('a request object without signature, and one fetched from elsewhere', async () => {
      const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const none = `${encode({ alg: 'none' })}.${encode({ redirect_uri: 'https://evil.example/' })}.`;
      for (const more of [{ request: none }, { request_uri: 'https://evil.example/request' }]) {
        const visit = await victim.open((await newAttempt(more)).url);
        expect(visit.location ?? '').not.toContain('evil.example/');
        expect(answerOf(visit).get('error')).toMatch(/not_supported/);
      }
    });

    test('a host of another name in the headers of a request', async () => {
      const reply = await open.ask('/.well-known/oauth-authorization-server', {
        headers: { host: 'evil.example', 'x-forwarded-host': 'evil.example', forwarded: 'host=evil.example' },
      });
      expect(reply.body).not.toContain('evil.example');
    });
  });
});

/** More and more, for as long as somebody reads. */
function endless(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull: (controller) => {
      controller.enqueue(new Uint8Array(4096).fill(0x20));
    },
  });
}
