/** Attacks on bridge mode: answers of another provider that are forged, misdirected, replayed, or somebody else's. */
import { UnsecuredJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { origin, type TestAuthorizationServer, TestBrowser } from '../authorization-server.ts';
import { arrive, type Bridge, comeBack, openBridge, signInElsewhere } from '../bridge.ts';
import type { UpstreamBehaviour, UpstreamServer } from '../upstream-server.ts';

let bridge: Bridge;
let open: TestAuthorizationServer;
let upstream: UpstreamServer;

beforeEach(async () => {
  bridge = await openBridge();
  ({ server: open, upstream } = bridge);
});
afterEach(() => bridge.close());

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
    const { browser, page } = await arrive(open);
    const visit = await comeBack({ browser, page });
    expect(visit.location).toBeUndefined();
    expect([400, 401]).toContain(visit.reply.status);
    expect(visit.reply.body).not.toContain('You are signed in as');
    expect(await open.users.findByIdentity(upstream.url, 'ada-at-the-other-place')).toBeUndefined();
  });

  test('twice', async () => {
    const { browser, page } = await arrive(open);
    const back = await signInElsewhere({ browser, page });
    const cookies = [...browser.cookies];
    await browser.open(back);
    const again = new TestBrowser(open);
    for (const [key, cookie] of cookies) again.cookies.set(key, cookie);
    expect((await again.open(back)).reply.status).toBe(400);
  });

  test('in a browser that did not ask: signing somebody in as oneself', async () => {
    const { browser, page } = await arrive(open);
    const back = await signInElsewhere({ browser, page });
    const visit = await new TestBrowser(open).open(back);
    expect(visit.reply.status).toBe(400);
    expect(visit.reply.body).toContain('no longer valid');
    // It was not used up by that.
    expect((await browser.open(back)).reply.body).toContain('You are signed in as');
  });

  test('at the interaction of another client in the same browser', async () => {
    const first = await arrive(open);
    const second = await arrive(open, {}, first.browser);
    const back = await signInElsewhere(first);
    const query = new URL(back, origin).search;
    const visit = await first.browser.open(`${second.page.at.split('?', 1)[0] ?? ''}/callback${query}`);
    expect(visit.reply.status).toBe(401);
  });
});
