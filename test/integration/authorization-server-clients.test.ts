/**
 * What real clients send, as `test/fixtures/clients` has it, from discovery to more scopes. The shapes are from the
 * clients' public sources and issue trackers; their bodies are cut to what counts here.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt, exportJWK, generateKeyPair, type GenerateKeyPairResult, SignJWT } from 'jose';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { createHost } from '../../src/host.ts';
import { defineServer } from '../../src/mcp/server-definition.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import {
  answerOf,
  begin,
  bodyOf,
  openAuthorizationServer,
  origin,
  resource,
  type TestAuthorizationServer,
  TestBrowser,
  toRedemption,
  toRefresh,
} from '../authorization-server.ts';

/** One client, as recorded. `null` where it sends none. */
interface RecordedClient {
  readonly name: string;
  /** The body of its registration; or the document that it is known by, and where that is. */
  readonly registration?: Readonly<Record<string, unknown>>;
  readonly clientId?: string;
  readonly document?: Readonly<Record<string, unknown>>;
  readonly redirectUri: string;
  readonly scope: string | null;
  readonly resource: string | null;
  readonly refreshResource: string | null;
}

const folder = new URL('../fixtures/clients/', import.meta.url);
const recorded = readdirSync(folder).map(
  (name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as RecordedClient,
);

test('every client of the guide is recorded', () => {
  expect(recorded.map(({ name }) => name).toSorted((one, other) => (one < other ? -1 : 1))).toEqual([
    'ChatGPT',
    'Claude Code',
    'Claude.ai',
    'Codex',
    'Cursor',
    'MCP Inspector',
    'SDK',
    'VS Code',
  ]);
});

test.each(recorded)('$name gets in, refreshes, and is given more scopes', async (client) => {
  const pair = await generateKeyPair('RS256', { extractable: true });
  const open = await openAuthorizationServer({ fetch: (input) => answerClient(client, pair, input) });
  try {
    const metadata = bodyOf(await open.ask('/.well-known/oauth-authorization-server'));
    expect(metadata['code_challenge_methods_supported']).toEqual(['S256']);
    const credentials = await identify(open, client, pair);
    const browser = new TestBrowser(open);

    const first = await signIn(open, { client, browser, credentials, scope: client.scope });
    expect(first['scope']).toMatch(/^notes:read/);
    expect(decodeJwt(String(first['access_token'])).aud).toBe(resource);

    const resourceGiven = client.refreshResource === null ? {} : { resource: client.refreshResource };
    const refreshed = await open.ask('/oauth/token', {
      body: toRefresh('', first['refresh_token'], { ...resourceGiven, ...(await credentials()) }),
    });
    expect([refreshed.status, bodyOf(refreshed)['scope']]).toEqual([200, first['scope']]);

    const scope = 'notes:read notes:write';
    const more = await signIn(open, { client, browser, credentials, scope });
    expect(more['scope']).toBe(scope);
    expect(open.errors).toEqual([]);
  } finally {
    await open.close();
  }
});

type Credentials = () => Promise<Readonly<Record<string, string>> & { readonly client_id: string }>;

async function identify(
  open: TestAuthorizationServer,
  { registration, document, clientId = '' }: RecordedClient,
  { privateKey }: GenerateKeyPairResult,
): Promise<Credentials> {
  if (registration !== undefined) {
    const reply = await open.ask('/oauth/register', { body: JSON.stringify(registration) });
    expect(reply.status).toBe(201);
    const { client_id: id, client_secret: secret } = bodyOf(reply);
    const withSecret = typeof secret === 'string' ? { client_secret: secret } : {};
    return () => Promise.resolve({ client_id: String(id), ...withSecret });
  }
  if (document?.['token_endpoint_auth_method'] === 'none')
    return () => Promise.resolve({ client_id: clientId });
  return async () => ({
    client_id: clientId,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await new SignJWT({ jti: randomUUID() })
      .setProtectedHeader({ alg: 'RS256', kid: 'k1' })
      .setIssuer(clientId)
      .setSubject(clientId)
      .setAudience(`${origin}/oauth/token`)
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(privateKey),
  });
}

async function signIn(
  open: TestAuthorizationServer,
  step: {
    readonly client: RecordedClient;
    readonly browser: TestBrowser;
    readonly credentials: Credentials;
    readonly scope: string | null;
  },
): Promise<Record<string, unknown>> {
  const { client, browser, scope } = step;
  const { client_id: id, ...rest } = await step.credentials();
  const attempt = begin(id, client.redirectUri, {
    scope: scope ?? undefined,
    resource: client.resource ?? undefined,
  });
  const answer = answerOf(await browser.authorize(attempt.url));
  expect([answer.get('iss'), answer.get('state')]).toEqual([origin, 'state of the client']);
  const body = toRedemption(attempt, answer.get('code') ?? '', rest);
  if (client.resource === null) body.delete('resource');
  else body.set('resource', client.resource);
  const reply = await open.ask('/oauth/token', { body });
  expect(reply.body).toContain('access_token');
  return bodyOf(reply);
}

async function answerClient(
  client: RecordedClient,
  { publicKey }: GenerateKeyPairResult,
  input: Parameters<typeof fetch>[0],
): Promise<Response> {
  const url = input instanceof Request ? input.url : String(input);
  if (url === client.clientId) return Response.json(client.document);
  if (url === client.document?.['jwks_uri'])
    return Response.json({
      keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' }],
    });
  throw new TypeError(`nothing is at ${url}`);
}

test('clients in a browser may ask from everywhere, where no cookie counts, and nowhere else', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'mooring-cors-'));
  const loaded = await loadConfig({
    environment: { AUTH: 'oauth', PUBLIC_URL: origin, SHUTDOWN_GRACE_MS: '1000', DATA_DIR: dataDir },
    workingDir: dataDir,
  });
  const host = await createHost({
    server: defineServer({ name: 'test', version: '1.0.0', baseScopes: ['notes:read'], tools: [] }),
    ...loaded,
    logger: createLogger({ level: 'silent' }),
  });
  try {
    const preflight = async (path: string, method: string) => {
      const headers = {
        host: 'mcp.example.com',
        origin: 'https://inspector.example',
        'access-control-request-method': method,
        'access-control-request-headers': 'content-type, mcp-protocol-version',
      };
      const reply = await host.fetch(new Request(`${origin}${path}`, { method: 'OPTIONS', headers }));
      return reply.headers.get('access-control-allow-origin') !== null;
    };
    expect(await preflight('/oauth/register', 'POST')).toBe(true);
    expect(await preflight('/oauth/token', 'POST')).toBe(true);
    expect(await preflight('/oauth/revoke', 'POST')).toBe(true);
    expect(await preflight('/.well-known/oauth-authorization-server', 'GET')).toBe(true);
    expect(await preflight('/oauth/authorize', 'GET')).toBe(false);
  } finally {
    await host.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
});
