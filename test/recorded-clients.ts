/** What real clients send, as `test/fixtures/clients` has it, and what there is of them on the internet. */
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

/** One client, as recorded. `null` where it sends none. */
export interface RecordedClient {
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

const folder = new URL('fixtures/clients/', import.meta.url);

/** All of them. */
export const recordedClients = readdirSync(folder).map(
  (name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as RecordedClient,
);

/** What whoever makes a client publishes, and what only they can sign. */
export interface ClientHome {
  /** What was fetched there, each URL once. */
  readonly fetched: ReadonlySet<string>;
  readonly fetch: typeof globalThis.fetch;
  /** RFC 7523, section 3. */
  sign(tokenEndpoint: string): Promise<string>;
}

/** The home of one client; nothing else can be fetched from it. */
export async function createClientHome({ clientId = '', document }: RecordedClient): Promise<ClientHome> {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true });
  const key = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' };
  const fetched = new Set<string>();
  return {
    fetched,
    fetch: async (input) => {
      const url = input instanceof Request ? input.url : String(input);
      fetched.add(url);
      if (url === clientId) return Response.json(document);
      if (url === document?.['jwks_uri']) return Response.json({ keys: [key] });
      throw new TypeError(`nothing is at ${url}`);
    },
    sign: (tokenEndpoint) =>
      new SignJWT({ jti: randomUUID() })
        .setProtectedHeader({ alg: 'RS256', kid: 'k1' })
        .setIssuer(clientId)
        .setSubject(clientId)
        .setAudience(tokenEndpoint)
        .setIssuedAt()
        .setExpirationTime('1m')
        .sign(privateKey),
  };
}
