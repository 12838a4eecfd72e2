/** Programs of both versions of the SDK get in without a person: with a key of their own, or with their company's word. */
import { randomUUID } from 'node:crypto';
import {
  Client as ClientV2,
  CrossAppAccessProvider,
  PrivateKeyJwtProvider as ProviderV2,
  StreamableHTTPClientTransport as TransportV2,
} from '@modelcontextprotocol/client';
import { PrivateKeyJwtProvider as ProviderV1 } from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { exportJWK, generateKeyPair, type GenerateKeyPairResult, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type IssuerServer, startIssuerServer } from '../issuer-server.ts';
import { type MooringProcess, runMooring, startMooring } from './mooring-process.ts';

interface MadeClient {
  readonly id: string;
  readonly privateKey: string;
}

let company: IssuerServer;
let companyKey: GenerateKeyPairResult;
let host: MooringProcess;

beforeAll(async () => {
  companyKey = await generateKeyPair('ES256');
  company = await startIssuerServer([
    { ...(await exportJWK(companyKey.publicKey)), kid: 'k1', alg: 'ES256' },
  ]);
  const trusted = { name: 'company', issuer: company.url, uses: ['id-jag'] };
  host = await startMooring({ environment: { AUTH: 'oauth', TRUSTED_ISSUERS: JSON.stringify([trusted]) } });
});
afterAll(async () => {
  await host?.dispose();
  await company?.close();
});

async function runJson(...args: readonly string[]): Promise<unknown> {
  const ran = await runMooring([...args, '--json'], { DATA_DIR: host.dataDir });
  if (ran.code !== 0) throw new Error(ran.error);
  return JSON.parse(ran.out);
}

async function connectV2(
  authProvider: ProviderV2 | CrossAppAccessProvider,
  isModern: boolean,
): Promise<ClientV2> {
  const client = new ClientV2(
    { name: 'nightly', version: '1' },
    isModern ? { versionNegotiation: { mode: 'auto' } } : {},
  );
  await client.connect(new TransportV2(new URL(host.url), { authProvider }));
  return client;
}

async function connectV1(authProvider: ProviderV1): Promise<ClientV1> {
  const client = new ClientV1({ name: 'nightly', version: '1' });
  // The library's own types disagree with each other about a session id that is absent.
  await client.connect(new TransportV1(new URL(host.url), { authProvider }) as never);
  return client;
}

const programs: readonly (readonly [string, (made: MadeClient) => Promise<ClientV1 | ClientV2>])[] = [
  ['SDK v2, modern', (made) => connectV2(new ProviderV2(toOptions(made)), true)],
  ['SDK v2, legacy', (made) => connectV2(new ProviderV2(toOptions(made)), false)],
  ['SDK v1', (made) => connectV1(new ProviderV1(toOptions(made)))],
];

function toOptions({ id, privateKey }: MadeClient) {
  return { clientId: id, privateKey, algorithm: 'ES256', expectedIssuer: host.origin };
}

describe.each(programs)('%s with a key of its own', (_, connect) => {
  test('calls tools until its client is revoked', async () => {
    const made = (await runJson('clients', 'create', 'nightly', '--scope', 'notes:read')) as MadeClient;
    const client = await connect(made);
    await client.callTool({ name: 'list_notes', arguments: {} });
    // It may read only; asking again gives it no more.
    await expect(
      client.callTool({ name: 'add_note', arguments: { title: 'a', text: 'b' } }),
    ).rejects.toThrow();

    await runJson('clients', 'revoke', made.id);
    await vi.waitFor(
      async () => expect(client.callTool({ name: 'list_notes', arguments: {} })).rejects.toThrow(),
      { timeout: 5000, interval: 20 },
    );
    await client.close();
    expect(await runJson('clients', 'list')).toEqual([]);
  });
});

describe.each([true, false])('with the word of the company of its user (modern era: %s)', (isModern) => {
  test('a program acts for that user', async () => {
    const subject = randomUUID();
    await runJson('users', 'create', subject, '--issuer', company.url, '--scope', 'notes');
    const registered = await fetch(`${host.origin}/oauth/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        client_name: 'an assistant',
        redirect_uris: ['https://assistant.example/callback'],
        token_endpoint_auth_method: 'client_secret_basic',
        grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:jwt-bearer'],
      }),
    });
    const { client_id: clientId, client_secret: clientSecret } = (await registered.json()) as Record<
      string,
      string
    >;
    const assertion = ({
      authorizationServerUrl,
      resourceUrl,
    }: Readonly<Record<string, string>>): Promise<string> =>
      new SignJWT({
        client_id: clientId,
        resource: resourceUrl,
        scope: 'notes:read notes:write',
        jti: randomUUID(),
      })
        .setProtectedHeader({ alg: 'ES256', kid: 'k1', typ: 'oauth-id-jag+jwt' })
        .setIssuer(company.url)
        .setSubject(subject)
        .setAudience(authorizationServerUrl ?? '')
        .setIssuedAt()
        .setExpirationTime('5m')
        .sign(companyKey.privateKey);
    const client = await connectV2(
      new CrossAppAccessProvider({
        clientId: clientId ?? '',
        clientSecret: clientSecret ?? '',
        expectedIssuer: host.origin,
        assertion: ({ authorizationServerUrl, resourceUrl }) =>
          assertion({
            authorizationServerUrl: String(authorizationServerUrl),
            resourceUrl: String(resourceUrl),
          }),
      }),
      isModern,
    );
    await client.callTool({ name: 'list_notes', arguments: {} });
    const { extensions } = client.getServerCapabilities() ?? {};
    expect(Object.keys(extensions ?? {})).toEqual(
      isModern
        ? [
            'io.modelcontextprotocol/oauth-client-credentials',
            'io.modelcontextprotocol/enterprise-managed-authorization',
          ]
        : [],
    );
    await client.close();
  });
});
