/**
 * What real clients send, as `test/fixtures/clients` has it, to a host that listens: from a URL and nothing else to tool
 * calls with more scopes. The shapes are from the clients' public sources and issue trackers; their bodies are cut to
 * what counts here.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { afterEach, expect, test, vi } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { createHost } from '../../src/host.ts';
import { defineServer, defineTool } from '../../src/mcp/server-definition.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import {
  answerOf,
  type Askable,
  begin,
  bodyOf,
  origin,
  resource,
  TestBrowser,
  toRedemption,
  toRefresh,
} from '../authorization-server.ts';
import { type ListeningHost, startListeningHost } from '../listening-host.ts';
import { challengeOf, McpCaller, resultOf } from '../mcp-caller.ts';
import {
  type ClientHome,
  createClientHome,
  type RecordedClient,
  recordedClients,
} from '../recorded-clients.ts';

// The host is the one that is deployed, and has no option for its way out. So that is what is put in place of the
// internet: what names lead to, and what answers there. What is between, which keeps to public addresses, is real.
vi.mock('node:dns/promises', () => ({
  lookup: () => Promise.resolve([{ address: '93.184.216.34', family: 4 }]),
}));
afterEach(() => {
  vi.unstubAllGlobals();
});

// Not recorded of the clients: programs change it with their versions. So each gets in with all of these.
const protocolVersions = ['2025-06-18', '2025-11-25', '2026-07-28'];

const notes = defineServer({
  name: 'notes',
  version: '1.0.0',
  baseScopes: ['notes:read'],
  tools: [
    defineTool({ name: 'read_note', handler: () => 'what was noted' }),
    defineTool({ name: 'write_note', scopes: ['notes:write'], handler: () => 'noted' }),
  ],
});

test('every client of the guide is recorded', () => {
  expect(recordedClients.map(({ name }) => name).toSorted((one, other) => (one < other ? -1 : 1))).toEqual([
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

test.each(recordedClients)('$name gets in, calls, refreshes, and is given more scopes', async (client) => {
  const home = await createClientHome(client);
  vi.stubGlobal('fetch', home.fetch);
  const host = await startListeningHost(notes);
  try {
    const callers = protocolVersions.map((version) => new McpCaller(host, version));
    const server = await discover(host, callers);
    const credentials = await identify(host, { client, home, server });
    const step = { client, server, credentials, browser: new TestBrowser(host) };

    const first = await signIn(host, { ...step, scope: client.scope });
    expect(first['scope']).toBe('notes:read');
    expect(decodeJwt(String(first['access_token'])).aud).toBe(resource);
    present(callers, first);
    for (const caller of callers) expect((await caller.greet()).status).toBe(200);
    await expectResult(callers, 'read_note', 'what was noted');

    const refreshed = await refresh(host, step, first['refresh_token']);
    expect(refreshed['scope']).toBe(first['scope']);
    expect(refreshed['access_token']).not.toBe(first['access_token']);
    present(callers, refreshed);
    await expectResult(callers, 'read_note', 'what was noted');

    const scope = await askForMore(callers, 'write_note');
    const more = await signIn(host, { ...step, scope });
    expect(more['scope']).toBe('notes:read notes:write');
    present(callers, more);
    await expectResult(callers, 'write_note', 'noted');
    await expectResult(callers, 'read_note', 'what was noted');

    const documents = [client.clientId, client.document?.['jwks_uri']].filter((url) => url !== undefined);
    expect([...home.fetched]).toEqual(documents);
    expect(host.warnings).toEqual([]);
  } finally {
    await host.close();
  }
});

/** What an authorization server tells of itself, as far as clients go by it. RFC 8414, section 2. */
interface ServerMetadata {
  readonly issuer: string;
  readonly authorization_endpoint: string;
  readonly token_endpoint: string;
  readonly registration_endpoint: string;
}

/** From being turned away to who lets in, by nothing but what each answer names. RFC 9728, section 5. */
async function discover(open: Askable, callers: readonly McpCaller[]): Promise<ServerMetadata> {
  const urls = new Set<string>();
  for (const caller of callers) {
    const refused = await caller.greet();
    expect(refused.status).toBe(401);
    const { error, scope, resource_metadata: url = '' } = challengeOf(refused);
    expect([error, scope]).toEqual([undefined, 'notes:read']);
    urls.add(url);
  }
  expect(urls.size).toBe(1);
  const [url = ''] = urls;
  const described = bodyOf(await open.ask(url));
  expect(described).toMatchObject({ resource, authorization_servers: [origin] });
  const [issuer = ''] = described['authorization_servers'] as readonly string[];
  const metadata = bodyOf(await open.ask(new URL('/.well-known/oauth-authorization-server', issuer).href));
  expect(metadata).toMatchObject({
    issuer,
    code_challenge_methods_supported: ['S256'],
    client_id_metadata_document_supported: true,
  });
  return metadata as unknown as ServerMetadata;
}

type Credentials = () => Promise<Readonly<Record<string, string>> & { readonly client_id: string }>;

/** Registers, where the client has no document to be known by. */
async function identify(
  open: Askable,
  known: { readonly client: RecordedClient; readonly home: ClientHome; readonly server: ServerMetadata },
): Promise<Credentials> {
  const { client, home, server } = known;
  const { registration, document, clientId = '' } = client;
  if (registration !== undefined) {
    const reply = await open.ask(server.registration_endpoint, { body: JSON.stringify(registration) });
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
    client_assertion: await home.sign(server.token_endpoint),
  });
}

/** Who a client is by now, to whom. */
interface Step {
  readonly client: RecordedClient;
  readonly server: ServerMetadata;
  readonly credentials: Credentials;
}

async function signIn(
  host: ListeningHost,
  step: Step & { readonly browser: TestBrowser; readonly scope: string | null },
): Promise<Record<string, unknown>> {
  const { client, server, browser, scope } = step;
  const { client_id: id, ...rest } = await step.credentials();
  const attempt = begin(id, client.redirectUri, {
    scope: scope ?? undefined,
    resource: client.resource ?? undefined,
  });
  const page = server.authorization_endpoint + new URL(attempt.url, origin).search;
  const visit = await browser.authorize(page, host.account);
  expect(visit.location?.startsWith(`${client.redirectUri}?`)).toBe(true);
  const answer = answerOf(visit);
  expect([answer.get('iss'), answer.get('state')]).toEqual([server.issuer, 'state of the client']);
  const body = toRedemption(attempt, answer.get('code') ?? '', rest);
  if (client.resource === null) body.delete('resource');
  else body.set('resource', client.resource);
  const reply = await host.ask(server.token_endpoint, { body });
  expect(reply.body).toContain('access_token');
  return bodyOf(reply);
}

async function refresh(
  open: Askable,
  { client, server, credentials }: Step,
  token: unknown,
): Promise<Record<string, unknown>> {
  const resourceGiven = client.refreshResource === null ? {} : { resource: client.refreshResource };
  const body = toRefresh('', token, { ...resourceGiven, ...(await credentials()) });
  const reply = await open.ask(server.token_endpoint, { body });
  expect(reply.status).toBe(200);
  return bodyOf(reply);
}

/** From now on they come with what the token endpoint answered; sessions that are open stay so. */
function present(callers: readonly McpCaller[], tokens: Readonly<Record<string, unknown>>): void {
  for (const caller of callers) caller.token = String(tokens['access_token']);
}

/** Calls a tool in vain. @returns the scopes that the client then asks for */
async function askForMore(callers: readonly McpCaller[], tool: string): Promise<string> {
  // What a client has already is named again: many ask for what the challenge says, and for nothing beside it.
  const scope = 'notes:read notes:write';
  for (const caller of callers) {
    const refused = await caller.callTool(tool);
    expect(refused.status).toBe(403);
    expect(challengeOf(refused)).toEqual({
      error: 'insufficient_scope',
      scope,
      resource_metadata: `${origin}/.well-known/oauth-protected-resource/mcp`,
    });
  }
  return scope;
}

async function expectResult(callers: readonly McpCaller[], tool: string, text: string): Promise<void> {
  for (const caller of callers) {
    const reply = await caller.callTool(tool);
    expect([reply.status, resultOf(reply)]).toMatchObject([200, { content: [{ type: 'text', text }] }]);
  }
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
