/** Clients of both major versions of the SDK, which are given a URL and sign in by themselves, through a real browser. */
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
  type OAuthClientProvider as ProviderV2,
} from '@modelcontextprotocol/client';
import type { OAuthClientProvider as ProviderV1 } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

/** What a person does with the page that a client opens for them. */
export type Visit = (url: URL) => Promise<void>;

/** Which library, in which era. */
export const signingInKinds = ['SDK v2, modern', 'SDK v2, legacy', 'SDK v1'] as const;
export type SigningInKind = (typeof signingInKinds)[number];

/** A client with the memory that an application gives it. */
export interface SigningInClient {
  /** How often the user was sent to the browser. */
  readonly visits: URL[];
  /** As the token endpoint answered last. */
  readonly tokens: { readonly access_token: string; readonly refresh_token?: string } | undefined;
  /** As it registered. */
  readonly clientId: string;
  /** Connects anew, signing in when that is needed. */
  connect(): Promise<void>;
  /** Calls a tool; signs in anew when the server asks for more. */
  callTool(name: string, args: Record<string, unknown>): Promise<unknown>;
  close(): Promise<void>;
}

interface Tokens {
  readonly access_token: string;
  readonly refresh_token?: string;
}

/** A client that has not met the server yet. */
export async function createSigningInClient(
  kind: SigningInKind,
  url: string,
  visit: Visit,
): Promise<SigningInClient> {
  const callback = await listenForCallback();
  const visits: URL[] = [];
  const memory = new Map<string, unknown>();
  const provider = {
    redirectUrl: callback.url,
    clientMetadata: {
      client_name: `a test of ${kind}`,
      redirect_uris: [callback.url],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    },
    state: () => 'the-state',
    clientInformation: () => memory.get('client'),
    saveClientInformation: (client: unknown) => void memory.set('client', client),
    tokens: () => memory.get('tokens'),
    saveTokens: (tokens: unknown) => void memory.set('tokens', tokens),
    saveCodeVerifier: (verifier: string) => void memory.set('verifier', verifier),
    codeVerifier: () => memory.get('verifier'),
    saveDiscoveryState: (state: unknown) => void memory.set('discovery', state),
    discoveryState: () => memory.get('discovery'),
    redirectToAuthorization: async (page: URL) => {
      visits.push(page);
      await visit(page);
    },
  };
  const createTransport = () =>
    kind === 'SDK v1'
      ? new TransportV1(new URL(url), { authProvider: provider as unknown as ProviderV1 })
      : new TransportV2(new URL(url), { authProvider: provider as unknown as ProviderV2 });
  let transport = createTransport();
  let client: ClientV1 | ClientV2 | undefined;

  /** Runs it; after a visit to the browser takes the code that came back, and runs it again. */
  const withSignIn = async <Value>(work: () => Promise<Value>): Promise<Value> => {
    for (let left = 2; ; left -= 1) {
      const before = visits.length;
      try {
        return await work();
      } catch (error) {
        if (visits.length === before || left === 0) throw error;
        await finish(await callback.next());
      }
    }
  };
  const finish = async (parameters: URLSearchParams): Promise<void> => {
    if (transport instanceof TransportV1) await transport.finishAuth(parameters.get('code') ?? '');
    else await transport.finishAuth(parameters);
  };
  const connect = (): Promise<void> =>
    withSignIn(async () => {
      transport = createTransport();
      client =
        kind === 'SDK v1'
          ? new ClientV1({ name: 'test', version: '1' })
          : new ClientV2(
              { name: 'test', version: '1' },
              kind === 'SDK v2, modern' ? { versionNegotiation: { mode: 'auto' } } : {},
            );
      // Each client is given the transport of its own version.
      await client.connect(transport as never);
    });
  return {
    visits,
    get tokens() {
      return memory.get('tokens') as Tokens | undefined;
    },
    get clientId() {
      return (memory.get('client') as { readonly client_id: string }).client_id;
    },
    connect,
    callTool: (name, args) =>
      withSignIn(async () => {
        if (client === undefined) throw new TypeError('connect first');
        return client.callTool({ name, arguments: args });
      }),
    close: async () => {
      await client?.close();
      await callback.close();
    },
  };
}

/** What a desktop application listens on for the browser to come back to. */
async function listenForCallback(): Promise<{
  readonly url: string;
  next(): Promise<URLSearchParams>;
  close(): Promise<void>;
}> {
  const returns: URLSearchParams[] = [];
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '', 'http://127.0.0.1');
    const isSignedIn = searchParams.has('code');
    if (isSignedIn) returns.push(searchParams);
    response.setHeader('Content-Type', 'text/html');
    response.end(`<title>back</title><p id="back">${isSignedIn ? 'signed in' : 'no code'}</p>`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`,
    next: async () => {
      const parameters = returns.shift();
      if (parameters === undefined) throw new Error('the browser did not come back with a code');
      return parameters;
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
