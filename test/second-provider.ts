/** The provider of another make (`fixtures/second-provider.mjs`), and what comes to it: clients, and a browser. */
import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findFreePort } from './redis-server.ts';

const program = fileURLToPath(new URL('fixtures/second-provider.mjs', import.meta.url));
const startTimeoutMs = 20_000;
const maxHops = 15;

/** Its one user. */
export const providerAccount = {
  email: 'ada@example.com',
  password: 'a password of ada alone',
  name: 'Ada',
} as const;

/** What a client gets at its registration. */
export interface ProviderClient {
  readonly client_id: string;
  /** Of a confidential client. */
  readonly client_secret?: string;
}

/** A provider that runs. */
export interface SecondProvider {
  /** `iss`. */
  readonly issuer: string;
  readonly authorizationEndpoint: string;
  readonly tokenEndpoint: string;
  /** Registers a client. @param metadata e.g. `token_endpoint_auth_method`, `none` by default */
  register(redirectUri: string, metadata?: Readonly<Record<string, unknown>>): Promise<ProviderClient>;
  /**
   * From now on signs with a new key. The old ones stay published unless told otherwise.
   *
   * @returns the new key's `kid`
   */
  rotateKeys(options?: { readonly areOldKept?: boolean }): Promise<string>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
  /** Starts it again after `kill`: same port, same keys, users, clients and sessions. */
  restart(): Promise<void>;
  /** Ends it for good and removes its folder. */
  stop(): Promise<void>;
}

/**
 * Starts one on a free port.
 *
 * @param options.resources what clients may ask tokens for (RFC 8707)
 * @param options.algorithm of signatures. Default: the provider's own, EdDSA
 */
export async function startSecondProvider(options: {
  readonly resources: readonly string[];
  readonly algorithm?: 'EdDSA' | 'ES256' | 'RS256';
}): Promise<SecondProvider> {
  const folder = mkdtempSync(join(tmpdir(), 'mooring-provider-'));
  const port = await findFreePort();
  const { resources, algorithm = 'EdDSA' } = options;
  const stateFile = join(folder, 'state');
  const settings = JSON.stringify({ port, stateFile, resources, algorithm, account: providerAccount });
  let { child, issuer } = await start(settings);
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (!isRunning()) return;
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  };
  return {
    issuer,
    authorizationEndpoint: `${issuer}/oauth2/authorize`,
    tokenEndpoint: `${issuer}/oauth2/token`,
    register: async (redirectUri, metadata = {}) =>
      (await post(`${issuer}/oauth2/register`, {
        client_name: 'a client',
        redirect_uris: [redirectUri],
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
        // Only a native client may be called back on loopback.
        application_type: redirectUri.startsWith('https:') ? 'web' : 'native',
        ...metadata,
      })) as ProviderClient,
    rotateKeys: async ({ areOldKept = true } = {}) => {
      const url = new URL(`/control/rotate-keys?keep=${areOldKept ? 'old' : 'none'}`, issuer);
      return ((await post(url.href, {})) as { readonly kid: string }).kid;
    },
    kill: () => end('SIGKILL'),
    restart: async () => {
      if (isRunning()) return;
      ({ child, issuer } = await start(settings));
    },
    stop: async () => {
      await end('SIGTERM');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function start(settings: string): Promise<{ readonly child: ChildProcess; readonly issuer: string }> {
  // By the channel it learns that this process is gone, however that ended.
  const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', 'ipc'];
  const child = spawn(process.execPath, [program, settings], { stdio });
  let log = '';
  const issuer = await new Promise<string>((resolve, reject) => {
    const fail = (problem: string): void => {
      child.kill('SIGKILL');
      reject(new Error(`the second provider ${problem}:\n${log}`));
    };
    const timer = setTimeout(() => fail(`was not ready within ${startTimeoutMs} ms`), startTimeoutMs);
    const read = (chunk: Buffer): void => {
      log = (log + chunk.toString()).slice(-4000);
      const url = /^http\S+$/m.exec(log)?.[0];
      if (url === undefined) return;
      clearTimeout(timer);
      resolve(url);
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('error', (error) => fail(`did not start (${error.message})`));
    child.once('exit', () => {
      clearTimeout(timer);
      fail('ended');
    });
  });
  return { child, issuer };
}

async function post(
  url: string,
  body: Readonly<Record<string, unknown>> | URLSearchParams,
): Promise<unknown> {
  const isForm = body instanceof URLSearchParams;
  const reply = await fetch(url, {
    method: 'POST',
    ...(!isForm && { headers: { 'content-type': 'application/json' } }),
    body: isForm ? body : JSON.stringify(body),
  });
  const text = await reply.text();
  if (!reply.ok) throw new Error(`${url} answered ${reply.status}: ${text}`);
  return JSON.parse(text);
}

/** A page, or where a browser was sent and stopped. */
export interface FormPage {
  readonly url: URL;
  /** Absent: it stopped before it asked there. */
  readonly reply?: Response;
  readonly html: string;
}

/** A browser without script: keeps cookies by host, follows redirects, fills in forms. */
export class FormBrowser {
  readonly #cookies = new Map<string, Map<string, string>>();
  readonly #fetch: typeof globalThis.fetch;
  readonly #isEnd: (url: URL) => boolean;

  /**
   * @param isEnd where it is not to go: a client's own address, which need not exist
   * @param fetch of a test whose host listens nowhere
   */
  constructor(isEnd: (url: URL) => boolean, fetch: typeof globalThis.fetch = globalThis.fetch) {
    this.#isEnd = isEnd;
    this.#fetch = fetch;
  }

  /** Follows redirects. @param form sent with POST */
  async open(url: URL | string, form?: URLSearchParams): Promise<FormPage> {
    let at = new URL(url);
    let body = form;
    for (let hop = 0; hop < maxHops; hop += 1) {
      if (this.#isEnd(at)) return { url: at, html: '' };
      const reply = await this.#ask(at, body);
      const location = reply.headers.get('location');
      if (location === null) return { url: at, reply, html: await reply.text() };
      at = new URL(location, at);
      body = undefined;
    }
    throw new Error(`redirected in circles, at last to ${at.href}`);
  }

  /** Sends a page's only form. @param fields what is filled in or clicked, beside its hidden fields */
  async submit(page: FormPage, fields: Readonly<Record<string, string>>): Promise<FormPage> {
    const form = new URLSearchParams();
    for (const [, name = '', value = ''] of page.html.matchAll(
      /type="hidden" name="([^"]+)" value="([^"]*)"/g,
    ))
      form.set(name, value);
    for (const [name, value] of Object.entries(fields)) form.set(name, value);
    const action = /<form[^>]* action="([^"]+)"/.exec(page.html)?.[1];
    return this.open(action === undefined ? page.url : new URL(action, page.url), form);
  }

  /** Signs in and allows, as far as pages ask for it. @returns where it ended */
  async authorize(url: URL | string, account: typeof providerAccount = providerAccount): Promise<FormPage> {
    let page = await this.open(url);
    if (page.html.includes('type="password"')) {
      const { email, password } = account;
      page = await this.submit(page, { email, password, decision: 'continue' });
    }
    while (page.html.includes('value="allow"')) page = await this.submit(page, { decision: 'allow' });
    return page;
  }

  async #ask(url: URL, form: URLSearchParams | undefined): Promise<Response> {
    const jar = this.#cookies.get(url.host) ?? new Map<string, string>();
    this.#cookies.set(url.host, jar);
    const cookie = [...jar].map((pair) => pair.join('=')).join('; ');
    const reply = await this.#fetch(url, {
      redirect: 'manual',
      headers: {
        accept: 'text/html',
        ...(cookie !== '' && { cookie }),
        ...(form !== undefined && { origin: url.origin }),
      },
      ...(form !== undefined && { method: 'POST', body: form }),
    });
    for (const line of reply.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      const [name = '', ...value] = pair.split('=');
      if (value.join('=') === '') jar.delete(name);
      else jar.set(name, value.join('='));
    }
    return reply;
  }
}

/** As the token endpoint answers. */
export interface ProviderTokens {
  readonly access_token: string;
  readonly id_token?: string;
  readonly refresh_token?: string;
}

const clientRedirectUri = 'https://client.example/callback';

/**
 * Everything that a public client does from its registration to its tokens: authorization code with PKCE.
 *
 * @param asked.resource without it the access token is opaque
 */
export async function signInAtProvider(
  provider: SecondProvider,
  { resource, scope = 'openid notes:read' }: { readonly resource?: string; readonly scope?: string },
): Promise<ProviderTokens> {
  const { client_id } = await provider.register(clientRedirectUri);
  const verifier = randomBytes(32).toString('base64url');
  const url = new URL(provider.authorizationEndpoint);
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id,
    redirect_uri: clientRedirectUri,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    state: 'state of the client',
    scope,
    ...(resource !== undefined && { resource }),
  }).toString();
  const browser = new FormBrowser(({ href }) => href.startsWith(clientRedirectUri));
  const end = await browser.authorize(url);
  const code = end.url.searchParams.get('code');
  if (code === null) throw new Error(`no code at ${end.url.href}: ${end.html}`);
  const form = {
    grant_type: 'authorization_code',
    code,
    client_id,
    redirect_uri: clientRedirectUri,
    code_verifier: verifier,
    ...(resource !== undefined && { resource }),
  };
  return (await post(provider.tokenEndpoint, new URLSearchParams(form))) as ProviderTokens;
}
