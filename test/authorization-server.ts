/**
 * The authorization server with real stores, and what comes to it: clients that know only the protocol and a browser
 * that keeps cookies and fills in forms. No sockets: what is tested is what the handlers answer.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createProofCheck } from '../src/auth/dpop/dpop-proof.ts';
import { MemoryReplayGuard } from '../src/auth/dpop/memory-replay-guard.ts';
import type { TokenVerifier } from '../src/auth/issuers/token-verifier.ts';
import type { RevocationKind } from '../src/auth/revocation/revocation-store.ts';
import { createSigningKeys } from '../src/auth/tokens/signing-keys.ts';
import { type Database, type DatabaseTarget, openDatabase } from '../src/database/open-database.ts';
import { SqlOauthStore } from '../src/database/sql-oauth-store.ts';
import { SqlServiceClientStore } from '../src/database/sql-service-client-store.ts';
import { SqlSigningKeyStore } from '../src/database/sql-signing-key-store.ts';
import { SqlTenantStore } from '../src/database/sql-tenant-store.ts';
import { SqlUserStore } from '../src/database/sql-user-store.ts';
import type { FullReply, HttpReply } from '../src/http/messages.ts';
import type { RouteHandler } from '../src/http/routes.ts';
import { createSealedBox, toSealingKey } from '../src/mcp/sealed-box.ts';
import {
  type AuthorizationServer,
  createAuthorizationServer,
  type UpstreamSignIn,
} from '../src/oauth/authorization-server.ts';
import { createUpstreamProvider } from '../src/oauth/upstream-provider.ts';

export const origin = 'https://mcp.example.com';
export const resource = `${origin}/mcp`;
export const account = { name: 'ada', password: 'a password of ada alone' } as const;
export const scopes: ReadonlyMap<string, string> = new Map([
  ['notes:read', 'Read your notes'],
  ['notes:write', 'Change your notes'],
  ['notes:admin', 'Delete everything'],
]);

const formType = 'application/x-www-form-urlencoded';

/** What a request to the server says beside its path. */
export interface Asked {
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as a form, or as it is. */
  readonly body?: string | URLSearchParams;
}

/** One instance, and what it did to the world around it. */
export interface TestAuthorizationServer {
  readonly server: AuthorizationServer;
  readonly database: Database;
  readonly users: SqlUserStore;
  readonly userId: string;
  readonly tenantId: string;
  /** As `kind:name`, oldest first. */
  readonly revoked: string[];
  readonly errors: unknown[];
  /** Milliseconds that the instance's own clock is ahead; the engine's is the machine's. */
  clock: { aheadMs: number };
  ask(target: string, asked?: Asked): Promise<FullReply>;
  /** Another instance over the same data, with what else it does otherwise. */
  openOther(otherwise?: Omit<TestServerOptions, 'target'>): Promise<TestAuthorizationServer>;
  close(): Promise<void>;
}

/** What a test may want otherwise. */
export interface TestServerOptions {
  readonly target?: DatabaseTarget;
  readonly fetch?: typeof globalThis.fetch;
  /** Addresses of every name. Default: one that is public. */
  readonly addresses?: readonly string[];
  readonly scopes?: ReadonlyMap<string, string>;
  /** Verifies identity assertions. Default: none is taken. */
  readonly assertions?: TokenVerifier;
  /** Where people sign in. Default: here. */
  readonly upstream?: {
    readonly url: string;
    readonly clientId: string;
    readonly clientSecret: string;
    readonly newcomers?: UpstreamSignIn['newcomers'];
  };
}

/** Opens one with one user, in one tenant, who may do everything but `notes:admin`. */
export async function openAuthorizationServer(
  options: TestServerOptions = {},
): Promise<TestAuthorizationServer> {
  const folder = mkdtempSync(join(tmpdir(), 'mooring-oauth-'));
  const target = options.target ?? { kind: 'sqlite', path: join(folder, 'mooring.db') };
  const people = { userId: randomUUID(), tenantId: 'harbour' };
  const first = await openInstance({ ...options, target }, people);
  await new SqlTenantStore(first.database).insert({ id: 'harbour', name: 'Harbour', createdAt: 1 });
  const user = { id: people.userId, issuer: 'local', subject: account.name, isActive: true, createdAt: 1 };
  await first.users.insert(user, `hash of ${account.password}`);
  await first.users.setMembership({
    ...people,
    role: 'member',
    scopes: ['notes:read', 'notes:write'],
    isActive: true,
    createdAt: 1,
  });
  return {
    ...first,
    close: async () => {
      await first.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function openInstance(
  options: TestServerOptions & { readonly target: DatabaseTarget },
  people: { readonly userId: string; readonly tenantId: string },
): Promise<TestAuthorizationServer> {
  const database = await openDatabase(options.target);
  const clock = { aheadMs: 0 };
  const now = (): number => Date.now() + clock.aheadMs;
  const revoked: string[] = [];
  const errors: unknown[] = [];
  const box = createSealedBox({ keys: [toSealingKey('ab'.repeat(32))] });
  const users = new SqlUserStore(database);
  const server = createAuthorizationServer({
    publicUrl: origin,
    resource,
    serverName: 'Harbour notes',
    scopes: options.scopes ?? scopes,
    baseScopes: ['notes:read'],
    store: new SqlOauthStore(database),
    users,
    tenants: new SqlTenantStore(database),
    serviceClients: new SqlServiceClientStore(database),
    ...(options.assertions !== undefined && { assertions: options.assertions }),
    checkProof: createProofCheck(new MemoryReplayGuard({ now }), now),
    keys: createSigningKeys({
      store: new SqlSigningKeyStore(database),
      box,
      keepRetiredMs: 3_600_000,
      onUnreadable: () => undefined,
    }),
    box,
    cookieKeys: ['a key of cookies'],
    signIn: toUpstream(options, (error) => errors.push(error)) ?? {
      isPassword: (password, hash) => Promise.resolve(hash === `hash of ${password}`),
      takeAttempt: () => Promise.resolve(true),
    },
    revoke: (kind: RevocationKind, name) => {
      revoked.push(`${kind}:${name}`);
      return Promise.resolve();
    },
    accessTokenTtlSeconds: 3600,
    refreshTokenTtlSeconds: 86_400,
    signInTtlSeconds: 3600,
    onError: (error) => errors.push(error),
    now,
    fetch: options.fetch ?? (() => Promise.reject(new TypeError('nothing is fetched in this test'))),
    lookup: () => Promise.resolve(options.addresses ?? ['93.184.216.34']),
  });
  return {
    server,
    database,
    users,
    ...people,
    revoked,
    errors,
    clock,
    ask: (path, asked) => ask(server, path, asked),
    openOther: (otherwise) => openInstance({ ...options, ...otherwise }, people),
    close: async () => {
      await server.close();
      await database.close();
    },
  };
}

function toUpstream(
  { upstream }: TestServerOptions,
  onError: (error: unknown) => void,
): UpstreamSignIn | undefined {
  if (upstream === undefined) return undefined;
  const { url, clientId, clientSecret, newcomers } = upstream;
  return {
    provider: createUpstreamProvider({
      issuer: url,
      name: 'Elsewhere',
      clientId,
      clientSecret,
      scopes: 'openid profile email',
      redirectUri: `${origin}/oauth/callback`,
      onError,
    }),
    ...(newcomers !== undefined && { newcomers }),
  };
}

async function ask(
  { endpoints }: AuthorizationServer,
  target: string,
  asked: Asked = {},
): Promise<FullReply> {
  const url = new URL(target, origin);
  const { method = asked.body === undefined ? 'GET' : 'POST', headers = {}, body = '' } = asked;
  const { handler, parameters } = toHandler(endpoints, url.pathname, method);
  const reply: HttpReply = await handler({
    method,
    path: url.pathname,
    query: url.search.slice(1),
    headers: {
      host: 'mcp.example.com',
      ...(method === 'POST' && { 'content-type': typeof body === 'string' ? 'application/json' : formType }),
      ...headers,
    },
    body: String(body),
    requestId: 'r',
    principal: undefined,
    parameters,
    clientAddress: undefined,
    onClose: () => undefined,
  });
  if (reply.kind !== 'full') throw new Error('the authorization server streams nothing');
  return reply;
}

function toHandler(
  endpoints: AuthorizationServer['endpoints'],
  path: string,
  method: string,
): { readonly handler: RouteHandler; readonly parameters: Readonly<Record<string, string>> } {
  const [, kind = '', uid, below] = /^\/oauth\/([a-z]+)(?:\/([^/]+))?(\/callback)?$/.exec(path) ?? [];
  if (kind === 'interaction' && uid !== undefined) {
    const { show, decide, comeBack } = endpoints.interaction;
    const shown = below === undefined ? show : comeBack;
    return { handler: method === 'POST' ? decide : shown, parameters: { uid } };
  }
  if (kind === 'authorize' && uid !== undefined) return { handler: endpoints.resume, parameters: { uid } };
  const { authorize, token, register, revoke, jwks, metadata, callback } = endpoints;
  const handler = { authorize, token, register, revoke, jwks, callback }[kind];
  if (handler !== undefined) return { handler, parameters: {} };
  if (path.startsWith('/.well-known/')) return { handler: metadata, parameters: {} };
  throw new Error(`the authorization server has no ${path}`);
}

/** One header of a reply, whatever its case. */
export function headerOf(reply: FullReply, name: string): string | undefined {
  return Object.entries(reply.headers).find(([key]) => key.toLowerCase() === name)?.[1];
}

/** The JSON object of a reply. */
export function bodyOf(reply: FullReply): Record<string, unknown> {
  return JSON.parse(reply.body) as Record<string, unknown>;
}

/** What a browser or a client is pointed at. */
export type Askable = Pick<TestAuthorizationServer, 'ask'>;

/** Keeps cookies by name and path, as browsers do. */
export class TestBrowser {
  readonly cookies = new Map<
    string,
    { readonly path: string; readonly value: string; readonly line: string }
  >();
  readonly #open: Askable;

  constructor(open: Askable) {
    this.#open = open;
  }

  async ask(target: string, asked: Asked = {}): Promise<FullReply> {
    const { pathname } = new URL(target, origin);
    const cookie = [...this.cookies]
      .filter(([, { path }]) => path === '/' || pathname === path || pathname.startsWith(`${path}/`))
      .map(([key, { value }]) => `${key.split(';', 1)[0]}=${value}`)
      .join('; ');
    const headers = { ...(cookie !== '' && { cookie }), ...asked.headers };
    const reply = await this.#open.ask(target, { ...asked, headers });
    for (const line of reply.cookies ?? []) this.#take(line);
    return reply;
  }

  /** Follows redirects within the server. @returns where they ended: a page, or a redirect to elsewhere */
  async open(target: string): Promise<Visit> {
    let reply = await this.ask(target);
    let at = target;
    for (let hop = 0; hop < 10; hop += 1) {
      const location = headerOf(reply, 'location');
      if (location === undefined) return { reply, at, location };
      const next = new URL(location, origin);
      if (next.origin !== origin) return { reply, at, location };
      at = next.pathname + next.search;
      reply = await this.ask(at);
    }
    throw new Error('redirected in circles');
  }

  /** Fills in the form of a page, and follows. */
  async submit(page: Visit, fields: Readonly<Record<string, string>>): Promise<Visit> {
    const form = new URLSearchParams(readForm(page.reply.body));
    for (const [name, value] of Object.entries(fields)) form.set(name, value);
    const reply = await this.ask(page.at, { body: form, headers: { origin } });
    const location = headerOf(reply, 'location');
    if (location === undefined) return { reply, at: page.at, location };
    return new URL(location, origin).origin === origin
      ? this.open(location)
      : { reply, at: page.at, location };
  }

  /** Signs in and allows, as far as the pages ask for it. */
  async authorize(
    target: string,
    who: { readonly name: string; readonly password: string } = account,
  ): Promise<Visit> {
    let page = await this.open(target);
    if (page.reply.body.includes('type="password"'))
      page = await this.submit(page, { ...who, decision: 'continue' });
    if (page.reply.body.includes('value="allow"')) page = await this.submit(page, { decision: 'allow' });
    return page;
  }

  #take(line: string): void {
    const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
    const name = pair.slice(0, pair.indexOf('='));
    const path = attributes.find((each) => each.toLowerCase().startsWith('path='))?.slice(5) ?? '/';
    const value = pair.slice(pair.indexOf('=') + 1);
    if (value === '') this.cookies.delete(`${name};${path}`);
    else this.cookies.set(`${name};${path}`, { path, value, line });
  }
}

/** Where a browser is. */
export interface Visit {
  readonly reply: FullReply;
  readonly at: string;
  /** Elsewhere, where the reply sends the browser. */
  readonly location: string | undefined;
}

/** The hidden fields of a page's form. */
export function readForm(page: string): Record<string, string> {
  return Object.fromEntries(
    [...page.matchAll(/type="hidden" name="([^"]+)" value="([^"]*)"/g)].map(([, name = '', value = '']) => [
      name,
      value,
    ]),
  );
}

/** A client's half of one sign-in. */
export interface Attempt {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly verifier: string;
  readonly url: string;
}

/** Begins a sign-in. A parameter that is `undefined` is left out. */
export function begin(
  clientId: string,
  redirectUri: string,
  parameters: Readonly<Record<string, string | undefined>> = {},
): Attempt {
  const verifier = randomBytes(32).toString('base64url');
  const all: Record<string, string | undefined> = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    state: 'state of the client',
    scope: 'notes:read',
    resource,
    ...parameters,
  };
  const query = new URLSearchParams(
    Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  return { clientId, redirectUri, verifier, url: `/oauth/authorize?${query.toString()}` };
}

/** What a redirect tells the client. */
export function answerOf(visit: Visit): URLSearchParams {
  if (visit.location === undefined)
    throw new Error(`no answer, but ${visit.reply.status} ${visit.reply.body.slice(-700)}`);
  const { search, hash } = new URL(visit.location);
  // What was asked for by the implicit flow is answered in the fragment, errors too.
  return new URLSearchParams(search === '' ? hash.slice(1) : search);
}

/** The fields that redeem a code. */
export function toRedemption(
  { clientId, redirectUri, verifier }: Attempt,
  code: string,
  more: Readonly<Record<string, string>> = {},
): URLSearchParams {
  return new URLSearchParams({
    grant_type: 'authorization_code',
    code,
    client_id: clientId,
    redirect_uri: redirectUri,
    code_verifier: verifier,
    resource,
    ...more,
  });
}

/** The fields that refresh. */
export function toRefresh(
  clientId: string,
  token: unknown,
  more: Readonly<Record<string, string>> = {},
): URLSearchParams {
  return new URLSearchParams({
    grant_type: 'refresh_token',
    refresh_token: String(token),
    client_id: clientId,
    ...more,
  });
}

/** Registers a client. @returns its id */
export async function register(open: Askable, metadata: Readonly<Record<string, unknown>>): Promise<string> {
  const reply = await open.ask('/oauth/register', { body: JSON.stringify(metadata) });
  if (reply.status !== 201) throw new Error(`not registered: ${reply.body}`);
  return String(bodyOf(reply)['client_id']);
}

export const redirectUri = 'https://client.example/callback';

/** Everything from registration to tokens. */
export async function connect(
  open: TestAuthorizationServer,
  parameters: Readonly<Record<string, string | undefined>> = {},
  browser: TestBrowser = new TestBrowser(open),
): Promise<{ readonly attempt: Attempt; readonly code: string; readonly tokens: Record<string, unknown> }> {
  const clientId = await register(open, { client_name: 'Client', redirect_uris: [redirectUri] });
  const attempt = begin(clientId, redirectUri, parameters);
  const code = answerOf(await browser.authorize(attempt.url)).get('code') ?? '';
  const reply = await open.ask('/oauth/token', { body: toRedemption(attempt, code) });
  if (reply.status !== 200) throw new Error(`no tokens: ${reply.body}`);
  return { attempt, code, tokens: bodyOf(reply) };
}
