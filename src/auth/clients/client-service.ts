import { randomUUID } from 'node:crypto';
import { exportJWK, exportPKCS8, generateKeyPair, importJWK } from 'jose';
import { RequestError } from '../../errors.ts';
import type { PagePosition } from '../api-key-store.ts';
import type { RevocationKind } from '../revocation/revocation-store.ts';
import type { ClientKeys, ServiceClient, ServiceClientStore } from './service-client-store.ts';

/** What a new client shall be. */
export interface ServiceClientInput {
  readonly name: string;
  readonly tenantId: string;
  readonly role: string;
  readonly scopes: readonly string[];
  /** A JWK Set with public keys, or one key, as parsed JSON; or where one is published. Default: a key that is made. */
  readonly keys?: { readonly jwks: unknown } | { readonly jwksUri: string };
}

/** A client that was just made. */
export interface MadeServiceClient {
  readonly client: ServiceClient;
  /** PKCS #8 in PEM, for `ES256`; present when the key was made here: the only time it is ever seen. */
  readonly privateKey?: string;
}

/** What the service needs. */
export interface ClientServiceOptions {
  readonly clients: ServiceClientStore;
  /** Ends every token of a client, on every instance. */
  readonly revoke: (kind: RevocationKind, name: string) => Promise<void>;
  readonly now?: () => number;
}

const madeAlgorithm = 'ES256';
const maxKeys = 10;
const maxUriLength = 2048;
const minRsaModulusCharacters = 342;
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

/**
 * The life of service clients, for the operator.
 *
 * Every method throws `RequestError` (`not_found`, `request_invalid`) and `UpstreamError`.
 */
export class ClientService {
  readonly #clients: ServiceClientStore;
  readonly #revoke: ClientServiceOptions['revoke'];
  readonly #now: () => number;

  constructor({ clients, revoke, now = Date.now }: ClientServiceOptions) {
    this.#clients = clients;
    this.#revoke = revoke;
    this.#now = now;
  }

  async create({ keys, ...input }: ServiceClientInput): Promise<MadeServiceClient> {
    const made = keys === undefined ? await makeKey() : undefined;
    const client: ServiceClient = {
      ...input,
      id: `service-${randomUUID()}`,
      keys: made?.keys ?? (await parseKeys(keys)),
      createdAt: this.#now(),
    };
    if (!(await this.#clients.insert(client)))
      throw new RequestError('not_found', `There is no tenant ${client.tenantId}`);
    return made === undefined ? { client } : { client, privateKey: made.privateKey };
  }

  list(
    limit: number,
    options: { readonly tenantId?: string; readonly after?: PagePosition } = {},
  ): Promise<readonly ServiceClient[]> {
    return this.#clients.list(limit, options);
  }

  /** Forgets a client, and ends its tokens. */
  async revoke(id: string): Promise<ServiceClient> {
    const client = await this.#clients.findById(id);
    if (client === undefined) throw new RequestError('not_found', `Unknown client: ${id}`);
    // First: once the client is gone, a failure here could not be made good by doing it again.
    await this.#revoke('client', id);
    await this.#clients.remove(id);
    // What it got in between.
    await this.#revoke('client', id);
    return client;
  }
}

async function makeKey(): Promise<{ readonly keys: ClientKeys; readonly privateKey: string }> {
  const { publicKey, privateKey } = await generateKeyPair(madeAlgorithm, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: randomUUID(), alg: madeAlgorithm, use: 'sig' };
  return { keys: { kind: 'jwks', keys: [jwk] }, privateKey: await exportPKCS8(privateKey) };
}

async function parseKeys(given: ServiceClientInput['keys']): Promise<ClientKeys> {
  if (given !== undefined && 'jwksUri' in given) {
    const uri = given.jwksUri;
    if (uri.length > maxUriLength || !URL.canParse(uri) || new URL(uri).protocol !== 'https:')
      throw toInvalid('the address of the keys must be an https URL');
    return { kind: 'jwks-uri', uri };
  }
  const jwks: unknown = given?.jwks;
  const keys = isObject(jwks) && Array.isArray(jwks['keys']) ? (jwks['keys'] as unknown[]) : [jwks];
  if (keys.length === 0 || keys.length > maxKeys) throw toInvalid(`1 to ${maxKeys} keys are taken`);
  return { kind: 'jwks', keys: await Promise.all(keys.map(parseKey)) };
}

async function parseKey(key: unknown): Promise<Readonly<Record<string, unknown>>> {
  if (!isObject(key)) throw toInvalid('a key must be a JSON Web Key: an object');
  if (privateMembers.some((member) => member in key))
    throw toInvalid(
      'a key is private, or a shared secret: give public keys only, and take this one for leaked',
    );
  const { kty, crv, n } = key;
  const alg =
    kty === 'RSA'
      ? 'RS256'
      : kty === 'EC' && crv === 'P-256'
        ? 'ES256'
        : kty === 'OKP' && crv === 'Ed25519'
          ? 'EdDSA'
          : undefined;
  if (alg === undefined) throw toInvalid('a key must be RSA, EC on P-256, or Ed25519');
  if (kty === 'RSA' && (typeof n !== 'string' || n.length < minRsaModulusCharacters))
    throw toInvalid('an RSA key must have at least 2048 bits');
  try {
    await importJWK(key, alg);
  } catch {
    throw toInvalid('a key is not a JSON Web Key that can be used');
  }
  const { kid } = key;
  return { ...key, use: 'sig', kid: typeof kid === 'string' && kid !== '' ? kid : randomUUID() };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function toInvalid(message: string): RequestError {
  return new RequestError('request_invalid', `The keys are not valid: ${message}`);
}
