/** An issuer of access tokens as a resource server sees it: published keys, over a real socket on loopback. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JWK } from 'jose';

/** An issuer that listens. */
export interface IssuerServer {
  /** `iss`. */
  readonly url: string;
  /** What is published from now on. */
  publish(keys: readonly JWK[]): void;
  /** How often the keys were fetched. */
  readonly fetches: number;
  /** Answers 500 while true. */
  isDown: boolean;
  close(): Promise<void>;
}

/** Starts an issuer with a discovery document and a key set. */
export async function startIssuerServer(keys: readonly JWK[]): Promise<IssuerServer> {
  const state = { keys, fetches: 0, isDown: false };
  const server = createServer((request, response) => {
    if (request.url === '/jwks') state.fetches += 1;
    const body =
      request.url === '/jwks'
        ? { keys: state.keys }
        : request.url === '/.well-known/openid-configuration'
          ? { issuer: url, jwks_uri: `${url}/jwks` }
          : undefined;
    response.statusCode = state.isDown ? 500 : body === undefined ? 404 : 200;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(body ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // Listening on TCP, it has a port.
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    publish: (published) => {
      state.keys = published;
    },
    get fetches() {
      return state.fetches;
    },
    get isDown() {
      return state.isDown;
    },
    set isDown(value) {
      state.isDown = value;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
