/**
 * An OpenID Connect provider as an attacker or a fault would have it: it enforces what a provider enforces of its clients,
 * signs one person in without asking, and answers what a test wants it to. A provider of another make, whole, is in
 * `second-provider.ts`.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { exportJWK, generateKeyPair, type GenerateKeyPairResult, SignJWT } from 'jose';

/** What it is to answer, from now on. */
export interface UpstreamBehaviour {
  /** Parameters of the answer at our callback, in place of its own. `undefined` leaves one out. */
  answer?: Readonly<Record<string, string | undefined>>;
  /** Claims of the ID token, in place of its own. */
  claims?: Readonly<Record<string, unknown>>;
  /** The whole ID token, made of the claims. */
  sign?: (claims: Readonly<Record<string, unknown>>) => Promise<string>;
  /** The status of every answer, when it is a fault. */
  fault?: number;
  /** Makes the token endpoint refuse. */
  tokenError?: string;
}

/** One that listens. */
export interface UpstreamServer {
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
  behave: UpstreamBehaviour;
  /** Signs with a new key from now on; only that is published. */
  rotate(): Promise<void>;
  /** Every authorization request that came, newest last. */
  readonly asked: URLSearchParams[];
  close(): Promise<void>;
}

interface Waiting {
  readonly challenge: string | null;
  readonly redirectUri: string | null;
  readonly nonce: string | null;
}

/** Starts one with one client. */
export async function startUpstreamServer(redirectUri: string): Promise<UpstreamServer> {
  const client = { clientId: 'mooring', clientSecret: 'a secret of two' };
  const codes = new Map<string, Waiting>();
  const asked: URLSearchParams[] = [];
  let key = await makeKey();
  let behave: UpstreamBehaviour = {};

  const authorize = (query: URLSearchParams): string => {
    asked.push(query);
    if (query.get('client_id') !== client.clientId || query.get('redirect_uri') !== redirectUri)
      throw new Error('not a client of this provider');
    if (query.get('response_type') !== 'code' || query.get('code_challenge_method') !== 'S256')
      throw new Error('not what this provider takes');
    const code = randomUUID();
    codes.set(code, {
      challenge: query.get('code_challenge'),
      redirectUri: query.get('redirect_uri'),
      nonce: query.get('nonce'),
    });
    const answer: Record<string, string | undefined> = {
      code,
      state: query.get('state') ?? undefined,
      iss: url,
      ...behave.answer,
    };
    const told = Object.entries(answer).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return `${redirectUri}?${new URLSearchParams(told).toString()}`;
  };

  const redeem = async (request: IncomingMessage): Promise<object> => {
    const body = new URLSearchParams(await text(request));
    const basic = Buffer.from((request.headers.authorization ?? '').slice(6), 'base64').toString();
    const [id = '', secret = ''] = basic
      .split(':')
      .map((part) => decodeURIComponent(part.replaceAll('+', ' ')));
    const waiting = codes.get(body.get('code') ?? '');
    codes.delete(body.get('code') ?? '');
    const challenge = createHash('sha256')
      .update(body.get('code_verifier') ?? '')
      .digest('base64url');
    const isTheirs = waiting?.challenge === challenge && waiting.redirectUri === body.get('redirect_uri');
    if (id !== client.clientId || secret !== client.clientSecret) return { error: 'invalid_client' };
    if (behave.tokenError !== undefined) return { error: behave.tokenError };
    if (!isTheirs) return { error: 'invalid_grant' };
    const claims = {
      iss: url,
      sub: 'ada-at-the-other-place',
      aud: client.clientId,
      nonce: waiting.nonce,
      name: 'Ada',
      email: 'ada@example.com',
      ...behave.claims,
    };
    return {
      access_token: 'an access token of the other place',
      token_type: 'Bearer',
      id_token: await (behave.sign ?? ((told) => sign(told, key)))(claims),
    };
  };

  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', url);
    const answer = async (): Promise<void> => {
      if (behave.fault !== undefined) {
        response.writeHead(behave.fault).end();
      } else if (pathname === '/authorize') {
        response.writeHead(303, { location: authorize(searchParams) }).end();
      } else {
        const body = await toDocument(pathname, request);
        const status = body === undefined ? 404 : 'error' in body ? 400 : 200;
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body ?? {}));
      }
    };
    answer().catch((error: unknown) => response.writeHead(400).end(String(error)));
  });
  const toDocument = async (path: string, request: IncomingMessage): Promise<object | undefined> => {
    if (path === '/token') return redeem(request);
    if (path === '/jwks')
      return { keys: [{ ...(await exportJWK(key.publicKey)), kid: key.kid, alg: 'RS256' }] };
    if (path !== '/.well-known/openid-configuration') return undefined;
    return {
      issuer: url,
      authorization_endpoint: `${url}/authorize`,
      token_endpoint: `${url}/token`,
      jwks_uri: `${url}/jwks`,
      response_types_supported: ['code'],
      id_token_signing_alg_values_supported: ['RS256'],
      authorization_response_iss_parameter_supported: true,
    };
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // Listening on TCP, it has a port.
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    ...client,
    asked,
    get behave() {
      return behave;
    },
    set behave(value) {
      behave = value;
    },
    rotate: async () => {
      key = await makeKey();
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Key = GenerateKeyPairResult & { readonly kid: string };

async function makeKey(): Promise<Key> {
  return { ...(await generateKeyPair('RS256')), kid: randomUUID() };
}

function sign(claims: Readonly<Record<string, unknown>>, { privateKey, kid }: Key): Promise<string> {
  const iat = Math.floor(Date.now() / 1000);
  return new SignJWT({ iat, exp: iat + 300, ...claims })
    .setProtectedHeader({ alg: 'RS256', kid, typ: 'JWT' })
    .sign(privateKey);
}
