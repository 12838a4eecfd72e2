import { describe, expect, test } from 'vitest';
import {
  answerOf,
  begin,
  bodyOf,
  redirectUri,
  register,
  TestBrowser,
  toRedemption,
  toRefresh,
} from '../authorization-server.ts';
import { useDatabaseTargets } from '../database-targets.ts';
import { openTestHost } from '../test-host.ts';

describe.each(useDatabaseTargets())('on %s', (_database, makeTarget) => {
  test('no code, token, cookie, verifier or password of a whole sign-in is in any log, at the lowest level', async () => {
    const open = await openTestHost({ environment: { AUTH: 'oauth' }, target: await makeTarget() });
    try {
      await open.ask('/health');
      const password = open.host.firstUser?.password ?? '';
      const browser = new TestBrowser(open);
      const clientId = await register(open, { client_name: 'Client', redirect_uris: [redirectUri] });
      const attempt = begin(clientId, redirectUri);
      const wrong = 'a password that is wrong';
      await new TestBrowser(open).authorize(attempt.url, { name: 'admin', password: wrong });
      const visit = await browser.authorize(attempt.url, { name: 'admin', password });
      const code = answerOf(visit).get('code') ?? '';
      const tokens = bodyOf(await open.ask('/oauth/token', { body: toRedemption(attempt, code) }));
      const refresh = String(tokens['refresh_token']);
      const refreshed = bodyOf(await open.ask('/oauth/token', { body: toRefresh(clientId, refresh) }));
      await open.ask('/oauth/token', { body: toRedemption(attempt, code) });
      await open.ask('/mcp', {
        body: '{}',
        headers: { authorization: `Bearer ${String(tokens['access_token'])}` },
      });
      const text = open.lines.join('');
      expect(text).toContain('/oauth/token');
      const secrets = [
        password,
        wrong,
        code,
        attempt.verifier,
        refresh,
        ...[tokens['access_token'], refreshed['access_token'], refreshed['refresh_token']].map(String),
        ...[...browser.cookies.values()].map(({ value }) => value),
      ];
      for (const secret of secrets) {
        expect(secret.length).toBeGreaterThan(10);
        expect(text.includes(secret)).toBe(false);
      }
    } finally {
      await open.close();
    }
  });
});
