/** Bridge mode: people sign in at another OpenID Connect provider. What that one must never be able to do is in here, too. */
import { UnsecuredJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  answerOf,
  begin,
  bodyOf,
  openAuthorizationServer,
  origin,
  redirectUri,
  register,
  type TestAuthorizationServer,
  TestBrowser,
  toRedemption,
  type Visit,
} from '../authorization-server.ts';
import { startUpstreamServer, type UpstreamBehaviour, type UpstreamServer } from '../upstream-server.ts';

const newcomers = { tenantId: 'harbour', role: 'member', scopes: ['notes:read', 'notes:write'] };
let upstream: UpstreamServer;
let open: TestAuthorizationServer;

beforeEach(async () => {
  upstream = await startUpstreamServer(`${origin}/oauth/callback`);
  open = await openAuthorizationServer({ upstream: { ...pick(upstream), newcomers } });
});
afterEach(async () => {
  await open.close();
  await upstream.close();
});

function pick({ url, clientId, clientSecret }: UpstreamServer) {
  return { url, clientId, clientSecret };
}

/** To the page that comes before the other provider's. */
async function arrive(
  parameters: Readonly<Record<string, string>> = {},
  {
    server = open,
    browser = new TestBrowser(server),
  }: { server?: TestAuthorizationServer; browser?: TestBrowser } = {},
): Promise<{
  readonly browser: TestBrowser;
  readonly page: Visit;
  readonly attempt: ReturnType<typeof begin>;
}> {
  const clientId = await register(server, { client_name: 'Client', redirect_uris: [redirectUri] });
  const attempt = begin(clientId, redirectUri, parameters);
  return { browser, attempt, page: await browser.open(attempt.url) };
}

/** Where the other provider sends the browser back to. */
async function signInElsewhere(leaving: Visit): Promise<string> {
  const reply = await fetch(String(leaving.location), { redirect: 'manual' });
  const back = new URL(reply.headers.get('location') ?? '');
  expect(back.origin).toBe(origin);
  return back.pathname + back.search;
}

async function comeBack(browser: TestBrowser, page: Visit): Promise<Visit> {
  const leaving = await browser.submit(page, { decision: 'continue' });
  return browser.open(await signInElsewhere(leaving));
}

describe('a person who signs in elsewhere', () => {
  test('is asked here first, for this client by name, and becomes a user here with the rights of newcomers', async () => {
    const { browser, attempt, page } = await arrive();
    expect(page.reply.body).toContain('Continue to Elsewhere');
    expect(page.reply.body).toContain('client.example');
    expect(page.reply.body).toContain('Read your notes');
    expect(upstream.asked).toEqual([]);

    const consent = await comeBack(browser, page);
    expect(consent.reply.body).toContain('You are signed in as <strong>Ada</strong>');
    const answer = answerOf(await browser.submit(consent, { decision: 'allow' }));
    const reply = await open.ask('/oauth/token', { body: toRedemption(attempt, answer.get('code') ?? '') });
    expect([reply.status, bodyOf(reply)['scope']]).toEqual([200, 'notes:read']);

    const user = await open.users.findByIdentity(upstream.url, 'ada-at-the-other-place');
    expect(user).toMatchObject({ name: 'Ada', email: 'ada@example.com', isActive: true });
    expect(open.errors).toEqual([]);
  });

  test('is the same user the next time, from another instance, whose name follows what is told there', async () => {
    const first = await arrive();
    await comeBack(first.browser, first.page);
    const before = await open.users.findByIdentity(upstream.url, 'ada-at-the-other-place');
    upstream.behave = { claims: { name: 'Ada L.', email: 'ada@example.com', email_verified: false } };
    await upstream.rotate();
    const other = await open.openOther();
    try {
      const second = await arrive({}, { server: other });
      await comeBack(second.browser, second.page);
    } finally {
      await other.close();
    }
    const after = await open.users.findByIdentity(upstream.url, 'ada-at-the-other-place');
    expect(after).toEqual({ ...before, name: 'Ada L.' });
  });

  test('may begin at one instance and come back at another', async () => {
    const { browser, page } = await arrive();
    const leaving = await browser.submit(page, { decision: 'continue' });
    const back = await signInElsewhere(leaving);
    const other = await open.openOther();
    try {
      const there = new TestBrowser(other);
      for (const [key, cookie] of browser.cookies) there.cookies.set(key, cookie);
      expect((await there.open(back)).reply.body).toContain('You are signed in as');
    } finally {
      await other.close();
    }
  });

  test('is known by issuer and subject, never by an address that somebody else has', async () => {
    await open.users.update(open.userId, { email: 'ada@example.com' });
    const { browser, page } = await arrive();
    await comeBack(browser, page);
    const user = await open.users.findByIdentity(upstream.url, 'ada-at-the-other-place');
    expect(user?.id).not.toBe(open.userId);
  });

  test('may do nothing without a tenant, and is told what to name to whoever can change that', async () => {
    const closed = await openAuthorizationServer({ upstream: pick(upstream) });
    try {
      const { browser, page } = await arrive({}, { server: closed });
      const visit = await comeBack(browser, page);
      const user = await closed.users.findByIdentity(upstream.url, 'ada-at-the-other-place');
      expect([visit.reply.status, visit.location]).toEqual([403, undefined]);
      expect(visit.reply.body).toContain(`name your account: ${user?.id ?? ''}.`);
      expect(await closed.users.listMemberships(user?.id ?? '')).toEqual([]);
    } finally {
      await closed.close();
    }
  });

  test('who was switched off is not let in', async () => {
    const first = await arrive();
    await comeBack(first.browser, first.page);
    const user = await open.users.findByIdentity(upstream.url, 'ada-at-the-other-place');
    await open.users.update(user?.id ?? '', { isActive: false });
    const second = await arrive();
    const visit = await comeBack(second.browser, second.page);
    expect([visit.reply.status, visit.location]).toEqual([403, undefined]);
    expect(visit.reply.body).toContain('Your account is not active');
  });

  test('is asked again there when the client wants a new proof', async () => {
    const { browser, page } = await arrive({ prompt: 'login' });
    await browser.submit(page, { decision: 'continue' }).then(signInElsewhere);
    expect(upstream.asked.at(-1)?.get('prompt')).toBe('login');
  });

  test('who says no, here or there, goes back to the client with access_denied', async () => {
    const here = await arrive();
    const denied = answerOf(await here.browser.submit(here.page, { decision: 'cancel' }));
    expect(denied.get('error')).toBe('access_denied');
    expect(upstream.asked).toEqual([]);

    upstream.behave = { answer: { code: undefined, error: 'access_denied' } };
    const there = await arrive();
    expect(answerOf(await comeBack(there.browser, there.page)).get('error')).toBe('access_denied');
  });
});

describe('what is asked of the other provider', () => {
  test('has PKCE, a nonce and a state of this sign-in alone, and names neither the client nor our resource', async () => {
    const { browser, page, attempt } = await arrive();
    await browser.submit(page, { decision: 'continue' }).then(signInElsewhere);
    await browser.submit(page, { decision: 'continue' }).then(signInElsewhere);
    const [first, second] = upstream.asked;
    for (const name of ['state', 'nonce', 'code_challenge']) {
      expect(first?.get(name)).toMatch(/^[\w-]{43}$/);
      expect(first?.get(name)).not.toBe(second?.get(name));
    }
    expect(first?.get('resource')).toBeNull();
    expect(first?.toString()).not.toContain(attempt.clientId);
  });
});

describe('an answer is not taken', () => {
  const bad: readonly (readonly [string, UpstreamBehaviour])[] = [
    ['with a state that nobody was given', { answer: { state: 'made up' } }],
    ['without a state', { answer: { state: undefined } }],
    ['of another issuer', { answer: { iss: 'https://evil.example' } }],
    ['with a code that is not theirs', { answer: { code: 'made up' } }],
    ['with an ID token of another nonce', { claims: { nonce: 'of another sign-in' } }],
    ['with an ID token without a nonce', { claims: { nonce: undefined } }],
    ['with an ID token for another client', { claims: { aud: 'somebody else' } }],
    ['with an ID token of another issuer', { claims: { iss: 'https://evil.example' } }],
    ['with an ID token that has ended', { claims: { exp: 1_700_000_000 } }],
    ['with an ID token without a subject', { claims: { sub: '' } }],
    [
      'with an ID token that nobody signed',
      {
        sign: (claims) =>
          Promise.resolve(new UnsecuredJWT({ ...claims }).setIssuedAt().setExpirationTime('5m').encode()),
      },
    ],
  ];
  test.each(bad)('%s', async (_, behaviour) => {
    upstream.behave = behaviour;
    const { browser, page } = await arrive();
    const visit = await comeBack(browser, page);
    expect(visit.location).toBeUndefined();
    expect([400, 401]).toContain(visit.reply.status);
    expect(visit.reply.body).not.toContain('You are signed in as');
    expect(await open.users.findByIdentity(upstream.url, 'ada-at-the-other-place')).toBeUndefined();
  });

  test('twice', async () => {
    const { browser, page } = await arrive();
    const back = await signInElsewhere(await browser.submit(page, { decision: 'continue' }));
    const cookies = [...browser.cookies];
    await browser.open(back);
    const again = new TestBrowser(open);
    for (const [key, cookie] of cookies) again.cookies.set(key, cookie);
    expect((await again.open(back)).reply.status).toBe(400);
  });

  test('in a browser that did not ask: signing somebody in as oneself', async () => {
    const { browser, page } = await arrive();
    const back = await signInElsewhere(await browser.submit(page, { decision: 'continue' }));
    const visit = await new TestBrowser(open).open(back);
    expect(visit.reply.status).toBe(400);
    expect(visit.reply.body).toContain('no longer valid');
    // It was not used up by that.
    expect((await browser.open(back)).reply.body).toContain('You are signed in as');
  });

  test('at the interaction of another client in the same browser', async () => {
    const first = await arrive();
    const second = await arrive({}, { browser: first.browser });
    const back = await signInElsewhere(await first.browser.submit(first.page, { decision: 'continue' }));
    const query = new URL(back, origin).search;
    const visit = await first.browser.open(`${second.page.at.split('?', 1)[0] ?? ''}/callback${query}`);
    expect(visit.reply.status).toBe(401);
  });
});

describe('while the other provider', () => {
  test('cannot be reached, a page says so, and the same page goes on once it can', async () => {
    upstream.behave = { fault: 500 };
    const { browser, page } = await arrive();
    const away = await browser.submit(page, { decision: 'continue' });
    expect(away.reply.status).toBe(503);
    expect(away.reply.body).toContain('Elsewhere cannot be reached');
    expect(away.reply.body).toMatch(/<a href="\/oauth\/interaction\/[\w-]+">Try again<\/a>/);
    expect(open.errors).toHaveLength(1);

    upstream.behave = {};
    const visit = await comeBack(browser, await browser.open(page.at));
    expect(visit.reply.body).toContain('You are signed in as');
  });

  test('fails when the code is redeemed, the person may try again, and no token of its reaches a log', async () => {
    upstream.behave = { tokenError: 'server_error' };
    const { browser, page } = await arrive();
    const visit = await comeBack(browser, page);
    expect(visit.reply.status).toBe(503);
    upstream.behave = {};
    expect((await comeBack(browser, await browser.open(page.at))).reply.body).toContain(
      'You are signed in as',
    );
    upstream.behave = { claims: { nonce: 'of another sign-in' } };
    const unsound = await arrive();
    await comeBack(unsound.browser, unsound.page);
    expect(open.errors).toHaveLength(2);
    for (const error of open.errors) expect(flatten(error)).not.toMatch(/eyJ|an access token of/);
  });
});

/** An error with all that hangs on it, as a log would have it. */
function flatten(error: unknown, depth = 0): string {
  if (depth > 6 || typeof error !== 'object' || error === null) return String(error);
  return Object.getOwnPropertyNames(error)
    .map((name) => `${name}: ${flatten((error as Record<string, unknown>)[name], depth + 1)}`)
    .join('\n');
}
