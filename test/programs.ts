/** Programs without a person in a test: an authorization server, a client of an operator, and the company of a user. */
import { randomUUID } from 'node:crypto';
import { exportJWK, generateKeyPair, type GenerateKeyPairResult, importPKCS8, SignJWT } from 'jose';
import { ClientService, type MadeServiceClient } from '../src/auth/clients/client-service.ts';
import { RemoteKeySet } from '../src/auth/issuers/remote-key-set.ts';
import { createTokenVerifier, type IssuerWithKeys } from '../src/auth/issuers/token-verifier.ts';
import { parseTrustedIssuers } from '../src/config/trusted-issuers.ts';
import { SqlServiceClientStore } from '../src/database/sql-service-client-store.ts';
import type { FullReply } from '../src/http/messages.ts';
import {
  openAuthorizationServer,
  origin,
  resource,
  type TestAuthorizationServer,
  type TestServerOptions,
} from './authorization-server.ts';
import { type IssuerServer, startIssuerServer } from './issuer-server.ts';

/** RFC 7523, section 2.1. */
export const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** What a test may say otherwise of an assertion. */
export interface AssertionChanges {
  readonly typ?: string;
  readonly key?: GenerateKeyPairResult;
}

type Claims = Readonly<Record<string, unknown>>;
type Fields = Readonly<Record<string, string>>;

/** Everything that a program meets. */
export interface Programs {
  readonly server: TestAuthorizationServer;
  readonly company: IssuerServer;
  readonly clients: ClientService;
  /** May read and write notes in the tenant `harbour`. */
  readonly made: MadeServiceClient;
  /** The fields by which a client says who it is. Default: the one that was made. */
  prove(changes?: Claims): Promise<Record<string, string>>;
  /** What the company says of its user `grace` for that client. */
  assert(claims?: Claims, changes?: AssertionChanges): Promise<string>;
  askToken(fields: Fields, headers?: Fields): Promise<FullReply>;
  /** The client asks for a token for itself. */
  askOwn(fields?: Fields, changes?: Claims): Promise<FullReply>;
  /** The client asks for a token for the user. */
  redeem(assertion: string, fields?: Fields, headers?: Fields): Promise<FullReply>;
  close(): Promise<void>;
}

/** Opens all of it. */
export async function openPrograms(options: Pick<TestServerOptions, 'target'> = {}): Promise<Programs> {
  const companyKey = await generateKeyPair('ES256');
  const company = await startIssuerServer([
    { ...(await exportJWK(companyKey.publicKey)), kid: 'k1', alg: 'ES256' },
  ]);
  const assertions = createTokenVerifier([trust(company.url)]);
  const server = await openAuthorizationServer({ ...options, assertions });
  const userId = randomUUID();
  await server.users.insert({
    issuer: company.url,
    subject: 'grace',
    id: userId,
    isActive: true,
    createdAt: 1,
  });
  await server.users.setMembership({
    userId,
    tenantId: server.tenantId,
    role: 'member',
    scopes: ['notes:read', 'notes:write'],
    isActive: true,
    createdAt: 1,
  });
  const clients = new ClientService({
    clients: new SqlServiceClientStore(server.database),
    revoke: (kind, name) => Promise.resolve(void server.revoked.push(`${kind}:${name}`)),
  });
  const made = await clients.create({
    name: 'Nightly',
    tenantId: 'harbour',
    role: 'worker',
    scopes: ['notes:read', 'notes:write'],
  });

  const prove = async (changes: Claims = {}): Promise<Record<string, string>> => {
    const key = await importPKCS8(made.privateKey ?? '', 'ES256');
    const now = Math.floor(Date.now() / 1000);
    const { id } = made.client;
    const claims = { iss: id, sub: id, aud: origin, jti: randomUUID(), iat: now, exp: now + 60, ...changes };
    return {
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await new SignJWT(claims).setProtectedHeader({ alg: 'ES256' }).sign(key),
    };
  };
  const askToken = (fields: Fields, headers: Fields = {}): Promise<FullReply> =>
    server.ask('/oauth/token', { body: new URLSearchParams(fields), headers });
  return {
    server,
    company,
    clients,
    made,
    prove,
    askToken,
    assert: (claims = {}, { typ = 'oauth-id-jag+jwt', key = companyKey } = {}) => {
      const now = Math.floor(Date.now() / 1000);
      return new SignJWT({
        iss: company.url,
        sub: 'grace',
        aud: origin,
        client_id: made.client.id,
        resource,
        scope: 'notes:read',
        jti: randomUUID(),
        iat: now,
        exp: now + 300,
        ...claims,
      })
        .setProtectedHeader({ alg: 'ES256', kid: 'k1', typ })
        .sign(key.privateKey);
    },
    askOwn: async (fields = {}, changes = {}) =>
      askToken({ grant_type: 'client_credentials', ...(await prove(changes)), ...fields }),
    redeem: async (assertion, fields = {}, headers = {}) =>
      askToken({ grant_type: jwtBearer, assertion, resource, ...(await prove()), ...fields }, headers),
    close: async () => {
      await server.close();
      await company.close();
    },
  };
}

/** A proof of a key for the token endpoint. RFC 9449, section 4.2. */
export async function createProof(
  { privateKey, publicKey }: GenerateKeyPairResult,
  changes: Claims = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ htm: 'POST', htu: `${origin}/oauth/token`, jti: randomUUID(), iat: now, ...changes })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: await exportJWK(publicKey) })
    .sign(privateKey);
}

function trust(url: string): IssuerWithKeys {
  const parsed = parseTrustedIssuers([{ name: 'company', issuer: url, uses: ['id-jag'] }]);
  if (parsed.kind === 'problem') throw new Error(parsed.problem);
  const [record] = parsed.value;
  if (record === undefined) throw new Error('no record');
  return { issuer: record, keys: new RemoteKeySet({ issuer: url, jwksUri: `${url}/jwks` }) };
}
