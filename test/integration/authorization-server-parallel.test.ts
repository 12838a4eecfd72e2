/** What many do at once, on two instances over one database: SQLite and PostgreSQL. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  answerOf,
  begin,
  bodyOf,
  connect,
  openAuthorizationServer,
  redirectUri,
  register,
  type TestAuthorizationServer,
  TestBrowser,
  toRedemption,
  toRefresh,
} from '../authorization-server.ts';
import { useDatabaseTargets } from '../database-targets.ts';

const attempts = 8;

describe.each(useDatabaseTargets())('on %s', (_name, makeTarget) => {
  let one: TestAuthorizationServer;
  let other: TestAuthorizationServer;

  beforeEach(async () => {
    one = await openAuthorizationServer({ target: await makeTarget() });
    other = await one.openOther();
  });
  afterEach(async () => {
    await other.close();
    await one.close();
  });

  function atOnce(body: URLSearchParams) {
    return Promise.all(
      Array.from({ length: attempts }, (_, n) => (n % 2 === 0 ? one : other).ask('/oauth/token', { body })),
    );
  }

  test('of many that redeem one code at once, one gets tokens at most', async () => {
    const clientId = await register(one, { client_name: 'Client', redirect_uris: [redirectUri] });
    const attempt = begin(clientId, redirectUri);
    const code = answerOf(await new TestBrowser(one).authorize(attempt.url)).get('code') ?? '';
    const replies = await atOnce(toRedemption(attempt, code));
    const statuses = replies.map(({ status }) => status).toSorted((less, more) => less - more);
    expect(statuses).toEqual([200, ...Array.from({ length: attempts - 1 }, () => 400)]);
    expect(one.errors.concat(other.errors)).toEqual([]);
  });

  test('of many that refresh one token at once, all get tokens that can be refreshed', async () => {
    const { attempt, tokens } = await connect(one);
    const replies = await atOnce(toRefresh(attempt.clientId, tokens['refresh_token']));
    expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: attempts }, () => 200));
    const children = replies.map((reply) => bodyOf(reply)['refresh_token']);
    for (const [n, child] of children.entries()) {
      const { status } = await (n % 2 === 0 ? other : one).ask('/oauth/token', {
        body: toRefresh(attempt.clientId, child),
      });
      expect(status).toBe(200);
    }
    expect(one.revoked.concat(other.revoked)).toEqual([]);
  });

  test('of many that register the same client at once, all get the same id', async () => {
    const metadata = { client_name: 'Client', redirect_uris: [redirectUri] };
    const ids = await Promise.all(
      Array.from({ length: attempts }, (_, n) => register(n % 2 === 0 ? one : other, metadata)),
    );
    expect(new Set(ids).size).toBe(1);
  });

  test('a sign-in that begins at one instance ends at another', async () => {
    const browser = new TestBrowser(one);
    const clientId = await register(one, { client_name: 'Client', redirect_uris: [redirectUri] });
    const attempt = begin(clientId, redirectUri);
    const page = await browser.open(attempt.url);
    const elsewhere = new TestBrowser(other);
    for (const [key, cookie] of browser.cookies) elsewhere.cookies.set(key, cookie);
    const done = await elsewhere.authorize(attempt.url);
    expect(page.reply.status).toBe(200);
    const body = toRedemption(attempt, answerOf(done).get('code') ?? '');
    expect((await one.ask('/oauth/token', { body })).status).toBe(200);
  });
});
