/** Bridge mode in a test: an authorization server whose people sign in at another provider, and a browser between them. */
import {
  begin,
  openAuthorizationServer,
  origin,
  redirectUri,
  register,
  type TestAuthorizationServer,
  TestBrowser,
  type TestServerOptions,
  type Visit,
} from './authorization-server.ts';
import { startUpstreamServer, type UpstreamServer } from './upstream-server.ts';

/** What somebody is whom the bridge has not seen before. */
export const newcomers = {
  tenantId: 'harbour',
  role: 'member',
  scopes: ['notes:read', 'notes:write'],
} as const;

/** Both sides. */
export interface Bridge {
  readonly upstream: UpstreamServer;
  readonly server: TestAuthorizationServer;
  close(): Promise<void>;
}

/** Opens both. */
export async function openBridge(options: Pick<TestServerOptions, 'target'> = {}): Promise<Bridge> {
  const upstream = await startUpstreamServer(`${origin}/oauth/callback`);
  const server = await openAuthorizationServer({
    ...options,
    upstream: { ...toUpstream(upstream), newcomers },
  });
  return {
    upstream,
    server,
    close: async () => {
      await server.close();
      await upstream.close();
    },
  };
}

/** How an authorization server is told of the provider. */
export function toUpstream({
  url,
  clientId,
  clientSecret,
}: UpstreamServer): Pick<UpstreamServer, 'url' | 'clientId' | 'clientSecret'> {
  return { url, clientId, clientSecret };
}

/** A browser at the page that comes before the other provider's. */
export interface Arrival {
  readonly browser: TestBrowser;
  readonly page: Visit;
  readonly attempt: ReturnType<typeof begin>;
}

/** Gets there, with a client of its own. */
export async function arrive(
  server: TestAuthorizationServer,
  parameters: Readonly<Record<string, string>> = {},
  browser: TestBrowser = new TestBrowser(server),
): Promise<Arrival> {
  const clientId = await register(server, { client_name: 'Client', redirect_uris: [redirectUri] });
  const attempt = begin(clientId, redirectUri, parameters);
  return { browser, attempt, page: await browser.open(attempt.url) };
}

/** Where the other provider sends a browser back to that leaves from our page. */
export async function signInElsewhere({ browser, page }: Pick<Arrival, 'browser' | 'page'>): Promise<string> {
  const leaving = await browser.submit(page, { decision: 'continue' });
  const reply = await fetch(String(leaving.location), { redirect: 'manual' });
  const back = new URL(reply.headers.get('location') ?? '');
  if (back.origin !== origin) throw new Error(`sent to ${back.href}`);
  return back.pathname + back.search;
}

/** There and back. */
export async function comeBack(arrival: Pick<Arrival, 'browser' | 'page'>): Promise<Visit> {
  return arrival.browser.open(await signInElsewhere(arrival));
}
