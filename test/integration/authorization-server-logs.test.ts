import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { createHost } from '../../src/host.ts';
import { defineServer } from '../../src/mcp/server-definition.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { toAskable } from '../askable.ts';
import {
  answerOf,
  begin,
  bodyOf,
  origin,
  redirectUri,
  register,
  TestBrowser,
  toRedemption,
  toRefresh,
} from '../authorization-server.ts';

test('no code, token, cookie, verifier or password of a whole sign-in is in any log, at the lowest level', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'mooring-logs-'));
  const lines: string[] = [];
  const loaded = await loadConfig({
    environment: { AUTH: 'oauth', PUBLIC_URL: origin, SHUTDOWN_GRACE_MS: '1000', DATA_DIR: dataDir },
    workingDir: dataDir,
  });
  const host = await createHost({
    server: defineServer({ name: 'test', version: '1.0.0', baseScopes: ['notes:read'], tools: [] }),
    ...loaded,
    logger: createLogger({ level: 'trace', destination: { write: (line) => void lines.push(line) } }),
  });
  try {
    const open = toAskable((url, init) => host.fetch(new Request(url, init)));
    await open.ask('/health');
    const password = host.firstUser?.password ?? '';
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
    const text = lines.join('');
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
    await host.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
});
