/** Bridge mode: people sign in at another OpenID Connect provider. What must not succeed is with the attacks. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { UpstreamError } from '../../src/errors.ts';
import {
  answerOf,
  bodyOf,
  openAuthorizationServer,
  type TestAuthorizationServer,
  TestBrowser,
  toRedemption,
} from '../authorization-server.ts';
import {
  arrive,
  type Bridge,
  comeBack,
  newcomers,
  openBridge,
  signInElsewhere,
  toUpstream,
} from '../bridge.ts';
import { useDatabaseTargets } from '../database-targets.ts';
import { openTestHost } from '../test-host.ts';
import type { UpstreamServer } from '../upstream-server.ts';

describe.each(useDatabaseTargets())('on %s', (_database, makeTarget) => {
  let bridge: Bridge;
  let open: TestAuthorizationServer;
  let upstream: UpstreamServer;

  beforeEach(async () => {
    bridge = await openBridge({ target: await makeTarget() });
    ({ server: open, upstream } = bridge);
  });
  afterEach(() => bridge.close());

  describe('a person who signs in elsewhere', () => {
    test('is asked here first, for this client by name, and becomes a user here with the rights of newcomers', async () => {
      const { browser, attempt, page } = await arrive(open);
      expect(page.reply.body).toContain('Continue to Elsewhere');
      expect(page.reply.body).toContain('client.example');
      expect(page.reply.body).toContain('Read your notes');
      expect(upstream.asked).toEqual([]);

      const consent = await comeBack({ browser, page });
      expect(consent.reply.body).toContain('You are signed in as <strong>Ada</strong>');
      const answer = answerOf(await browser.submit(consent, { decision: 'allow' }));
      const reply = await open.ask('/oauth/token', { body: toRedemption(attempt, answer.get('code') ?? '') });
      expect([reply.status, bodyOf(reply)['scope']]).toEqual([200, 'notes:read']);

      const user = await open.users.findByIdentity(upstream.url, 'ada-at-the-other-place');
      expect(user).toMatchObject({ name: 'Ada', email: 'ada@example.com', isActive: true });
      expect(open.errors).toEqual([]);
    });

    test('is the same user the next time, from another instance, whose name follows what is told there', async () => {
      const first = await arrive(open);
      await comeBack(first);
      const before = await open.users.findByIdentity(upstream.url, 'ada-at-the-other-place');
      upstream.behave = { claims: { name: 'Ada L.', email: 'ada@example.com', email_verified: false } };
      await upstream.rotate();
      const other = await open.openOther();
      try {
        const second = await arrive(other);
        await comeBack(second);
      } finally {
        await other.close();
      }
      const after = await open.users.findByIdentity(upstream.url, 'ada-at-the-other-place');
      expect(after).toEqual({ ...before, name: 'Ada L.' });
    });

    test('may begin at one instance and come back at another', async () => {
      const { browser, page } = await arrive(open);
      const back = await signInElsewhere({ browser, page });
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
      const { browser, page } = await arrive(open);
      await comeBack({ browser, page });
      const user = await open.users.findByIdentity(upstream.url, 'ada-at-the-other-place');
      expect(user?.id).not.toBe(open.userId);
    });

    test('may do nothing without a tenant, and is told what to name to whoever can change that', async () => {
      const closed = await openAuthorizationServer({ upstream: toUpstream(upstream) });
      try {
        const { browser, page } = await arrive(closed);
        const visit = await comeBack({ browser, page });
        const user = await closed.users.findByIdentity(upstream.url, 'ada-at-the-other-place');
        expect([visit.reply.status, visit.location]).toEqual([403, undefined]);
        expect(visit.reply.body).toContain(`${user?.id ?? '?'}`);
        expect(visit.reply.body).toContain('Sign in as somebody else');
        expect(await closed.users.listMemberships(user?.id ?? '')).toEqual([]);
      } finally {
        await closed.close();
      }
    });

    test('whose first sign-in failed halfway joins with the next', async () => {
      const first = await arrive(open);
      const { schema } = open.database.kysely;
      await schema.alterTable('mcp_membership').renameTo('away').execute();
      await expect(comeBack(first)).rejects.toThrow();
      await schema.alterTable('away').renameTo('mcp_membership').execute();
      const consent = await comeBack(await arrive(open));
      expect(consent.reply.body).toContain('value="allow"');
    });

    test('is not half let in where the tenant of newcomers is not there', async () => {
      const nowhere = { ...newcomers, tenantId: 'nowhere' };
      const other = await open.openOther({ upstream: { ...toUpstream(upstream), newcomers: nowhere } });
      try {
        await expect(comeBack(await arrive(other))).rejects.toBeInstanceOf(UpstreamError);
      } finally {
        await other.close();
      }
      expect(await open.users.findByIdentity(upstream.url, 'ada-at-the-other-place')).toBeUndefined();
    });

    test('who was switched off is not let in', async () => {
      const first = await arrive(open);
      await comeBack(first);
      const user = await open.users.findByIdentity(upstream.url, 'ada-at-the-other-place');
      await open.users.update(user?.id ?? '', { isActive: false });
      const second = await arrive(open);
      const visit = await comeBack(second);
      expect([visit.reply.status, visit.location]).toEqual([403, undefined]);
      expect(visit.reply.body).toContain('Your account is not active');
    });

    test.each([{ prompt: 'login' }, { max_age: '60', scope: 'openid notes:read' }])(
      'is asked again there when the client wants a new proof: %j',
      async (parameters) => {
        const { browser, page } = await arrive(open, parameters);
        await signInElsewhere({ browser, page });
        expect(upstream.asked.at(-1)?.get('prompt')).toBe('login');
      },
    );

    test('may be somebody else the next time, though the browser knows them', async () => {
      const mistaken = await arrive(open);
      const before = await comeBack(mistaken);
      upstream.behave = { claims: { sub: 'grace-at-the-other-place', name: 'Grace' } };
      const again = await mistaken.browser.submit(before, { decision: 'switch' });
      expect(again.reply.body).toContain('Continue to Elsewhere');
      const consent = await comeBack({ browser: mistaken.browser, page: again });
      expect(consent.reply.body).toContain('You are signed in as <strong>Grace</strong>');
      expect(upstream.asked.at(-1)?.get('prompt')).toBe('login');
      const answer = answerOf(await mistaken.browser.submit(consent, { decision: 'allow' }));
      const body = toRedemption(mistaken.attempt, answer.get('code') ?? '');
      expect((await open.ask('/oauth/token', { body })).status).toBe(200);
    });

    test('who says no, here or there, goes back to the client with access_denied', async () => {
      const here = await arrive(open);
      const denied = answerOf(await here.browser.submit(here.page, { decision: 'cancel' }));
      expect(denied.get('error')).toBe('access_denied');
      expect(upstream.asked).toEqual([]);

      upstream.behave = { answer: { code: undefined, error: 'access_denied' } };
      const there = await arrive(open);
      expect(answerOf(await comeBack(there)).get('error')).toBe('access_denied');
    });
  });

  describe('what is asked of the other provider', () => {
    test('has PKCE, a nonce and a state of this sign-in alone, and names neither the client nor our resource', async () => {
      const { browser, page, attempt } = await arrive(open);
      await signInElsewhere({ browser, page });
      await signInElsewhere({ browser, page });
      const [first, second] = upstream.asked;
      for (const name of ['state', 'nonce', 'code_challenge']) {
        expect(first?.get(name)).toMatch(/^[\w-]{43}$/);
        expect(first?.get(name)).not.toBe(second?.get(name));
      }
      expect(first?.get('resource')).toBeNull();
      expect(first?.toString()).not.toContain(attempt.clientId);
    });
  });

  describe('while the other provider', () => {
    test('cannot be reached, a page says so, and the same page goes on once it can', async () => {
      upstream.behave = { fault: 500 };
      const { browser, page } = await arrive(open);
      const away = await browser.submit(page, { decision: 'continue' });
      expect(away.reply.status).toBe(503);
      expect(away.reply.body).toContain('Elsewhere does not answer as it should');
      expect(away.reply.body).toMatch(/<a href="\/oauth\/interaction\/[\w-]+">Try again<\/a>/);
      expect(open.errors).toHaveLength(1);

      upstream.behave = {};
      const visit = await comeBack({ browser, page: await browser.open(page.at) });
      expect(visit.reply.body).toContain('You are signed in as');
    });

    test('fails when the code is redeemed, the person may try again, and no token of its reaches a log', async () => {
      upstream.behave = { tokenError: 'server_error' };
      const { browser, page } = await arrive(open);
      const visit = await comeBack({ browser, page });
      expect(visit.reply.status).toBe(503);
      upstream.behave = {};
      expect((await comeBack({ browser, page: await browser.open(page.at) })).reply.body).toContain(
        'You are signed in as',
      );
      upstream.behave = { claims: { nonce: 'of another sign-in' } };
      const unsound = await arrive(open);
      await comeBack(unsound);
      expect(open.errors).toHaveLength(1);
      for (const error of open.errors) expect(flatten(error)).not.toMatch(/eyJ|an access token of/);
    });
  });
});

test('a provider that cannot be reached is in the log when the host starts, before anybody wants to sign in', async () => {
  const host = await openTestHost({
    environment: { AUTH: 'oauth', UPSTREAM_ISSUER: 'http://127.0.0.1:1', UPSTREAM_CLIENT_ID: 'mooring' },
  });
  try {
    expect((await host.fetch('/health')).status).toBe(200);
    await vi.waitFor(() =>
      expect(host.lines.join('')).toMatch(/127\.0\.0\.1:1 cannot be reached.*"event":"oauth\.failed"/),
    );
    // People sign in there alone.
    expect(host.host.firstUser).toBeUndefined();
  } finally {
    await host.close();
  }
});

/** An error with all that hangs on it, as a log would have it. */
function flatten(error: unknown, depth = 0): string {
  if (depth > 6 || typeof error !== 'object' || error === null) return String(error);
  return Object.getOwnPropertyNames(error)
    .map((name) => `${name}: ${flatten((error as Record<string, unknown>)[name], depth + 1)}`)
    .join('\n');
}
