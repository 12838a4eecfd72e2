/** What access tokens cost: on requests, when they are seen for the first time, and in the one place that knows them. */
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import { toMooringServer } from './cases.ts';
import { comparePairs } from './extras.ts';
import { connectionCount, warmUp, type Measured } from './sampler.ts';
import { ServerPool } from './server-pool.ts';
import type { ServerProcess } from './server-process.ts';
import { round, toMedian } from './statistics.ts';
import { prepareCall } from './wire.ts';

/** Takes authentication out of a server that is started with it. */
const openToAll = new URL('../../bench/open-to-all.mjs', import.meta.url).href;
const toolCount = 20;
const audience = 'https://bench.example/mcp';
const coldTokens = 3000;
const repeats = 5;
const fastPathCalls = 200_000;

type Figures = Readonly<Record<string, number | string>>;

/** Figures of authentication; `authenticationError` when they could not be taken. */
export async function measureAuthentication(report: (line: string) => void): Promise<Figures> {
  const issuer = await startIssuer();
  const pool = new ServerPool();
  try {
    report('measuring access tokens');
    const spec = toMooringServer(toolCount);
    const records = [{ name: 'bench', issuer: issuer.url, audience, tenantId: 'bench', scopes: ['*'] }];
    const server = await pool.load('tokens', {
      ...spec,
      environment: { ...spec.environment, TRUSTED_ISSUERS: JSON.stringify(records) },
    });
    const token = await issuer.sign('warm');
    const [byToken, byKey] = [await prepare(server, token), await prepare(server, server.token)];
    for (const each of [byToken, byKey]) await warmUp(each);
    const tokenAgainstKeyCpuRatio = await comparePairs(byToken, byKey);
    const openServer = await pool.load('open', { ...spec, nodeOptions: ['--import', openToAll] });
    const byNobody = await prepare(openServer, openServer.token);
    await warmUp(byNobody);
    const tokenAgainstNoneCpuRatio = await comparePairs(byToken, byNobody);
    report(`measuring ${coldTokens} tokens that are seen for the first time`);
    const cold = await measureCold(server, issuer);
    return { tokenAgainstKeyCpuRatio, tokenAgainstNoneCpuRatio, ...cold, ...(await measureFastPath(issuer)) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    report(`the figures of authentication are left out: ${message}`);
    return { authenticationError: message };
  } finally {
    await pool.close();
    await issuer.close();
  }
}

async function prepare(server: ServerProcess, token: string | undefined): Promise<Measured> {
  const endpoint = { url: server.url, token };
  const calls = Array.from({ length: connectionCount }, () => prepareCall(endpoint, 'modern'));
  return { server, templates: (await Promise.all(calls)).map((call) => [call]) };
}

/** The same requests twice: each with a token of its own, then with the same tokens again. */
async function measureCold(server: ServerProcess, issuer: BenchIssuer): Promise<Figures> {
  const coldMicros: number[] = [];
  const warmMicros: number[] = [];
  const perSecond: number[] = [];
  for (let repeat = 0; repeat < repeats; repeat += 1) {
    const tokens: string[] = [];
    for (let index = 0; index < coldTokens; index += 1) tokens.push(await issuer.sign(`${repeat}-${index}`));
    const startedAt = performance.now();
    coldMicros.push(await measureRequests(server, tokens));
    perSecond.push((coldTokens / (performance.now() - startedAt)) * 1000);
    warmMicros.push(await measureRequests(server, tokens));
  }
  const [cold, warm] = [toMedian(coldMicros), toMedian(warmMicros)];
  return {
    coldTokenMicros: round(cold - warm, 1),
    coldTokensPerSecond: Math.round(toMedian(perSecond)),
    coldTokenCpuRatio: round(cold / warm, 2),
  };
}

/** @returns the server's CPU time for each of one request a token */
async function measureRequests(server: ServerProcess, tokens: readonly string[]): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: connectionCount });
  const left = [...tokens];
  const before = await server.measure();
  const lane = async (): Promise<void> => {
    for (let token = left.pop(); token !== undefined; token = left.pop())
      await ping(server.url, token, agent);
  };
  await Promise.all(Array.from({ length: connectionCount }, lane));
  const after = await server.measure();
  agent.destroy();
  return (after.cpuMicros - before.cpuMicros) / tokens.length;
}

function ping(url: string, token: string, agent: Agent): Promise<void> {
  const version = '2026-07-28';
  const meta = {
    'io.modelcontextprotocol/protocolVersion': version,
    'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const body = { jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: meta } };
  return new Promise((resolve, reject) => {
    const call = request(url, {
      method: 'POST',
      agent,
      headers: {
        Authorization: `Bearer ${token}`,
        Accept: 'application/json, text/event-stream',
        'Content-Type': 'application/json',
        'MCP-Protocol-Version': version,
        'Mcp-Method': 'tools/list',
      },
    });
    call.on('response', (reply) => {
      reply.resume().on('end', () => {
        if (reply.statusCode === 200) resolve();
        else reject(new Error(`a request with a token was answered ${reply.statusCode}`));
      });
    });
    call.on('error', reject);
    call.end(JSON.stringify(body));
  });
}

/** The built classes, as far as they are used here. */
interface BuiltAuthentication {
  readonly TokenAuthenticator: new (options: object) => {
    authenticate(token: string): unknown;
  };
  readonly createTokenVerifier: (issuers: readonly object[]) => object;
  readonly SharedRevocations: new (options: object) => { close(): Promise<void> };
  readonly MemoryRevocationStore: new () => object;
  readonly parseTrustedIssuers: (records: readonly object[]) => { readonly value: readonly object[] };
}

/** The authenticator alone, with a token that it knows: hash, lookup, revocations. */
async function measureFastPath(issuer: BenchIssuer): Promise<Figures> {
  const built = await loadBuilt();
  const [record] = built.parseTrustedIssuers([
    { name: 'bench', issuer: issuer.url, audience, tenantId: 'bench', scopes: ['*'] },
  ]).value;
  const revocations = new built.SharedRevocations({ store: new built.MemoryRevocationStore() });
  const keys = { find: async () => issuer.publicKey };
  const authenticator = new built.TokenAuthenticator({
    verifier: built.createTokenVerifier([{ issuer: record, keys }]),
    revocations,
    checkProof: async () => undefined,
  });
  const token = await issuer.sign('fast');
  await authenticator.authenticate(token);
  const micros: number[] = [];
  for (let repeat = 0; repeat < repeats; repeat += 1) {
    const startedAt = performance.now();
    for (let count = 0; count < fastPathCalls; count += 1) {
      const answer = authenticator.authenticate(token);
      // Once in a while the revocations are looked at anew.
      if (answer instanceof Promise) await answer;
    }
    micros.push(((performance.now() - startedAt) / fastPathCalls) * 1000);
  }
  await revocations.close();
  return { knownTokenMicros: round(toMedian(micros), 2) };
}

async function loadBuilt(): Promise<BuiltAuthentication> {
  const load = (path: string): Promise<object> =>
    import(new URL(`../../dist/${path}`, import.meta.url).href) as Promise<object>;
  const modules = await Promise.all([
    load('auth/token-authenticator.js'),
    load('auth/issuers/token-verifier.js'),
    load('auth/revocation/shared-revocations.js'),
    load('auth/revocation/memory-revocation-store.js'),
    load('config/trusted-issuers.js'),
  ]);
  // What these modules export is what the interface says; their own types are not built for this program.
  return Object.assign({}, ...modules) as BuiltAuthentication;
}

interface BenchIssuer {
  readonly url: string;
  readonly publicKey: CryptoKey;
  sign(id: string): Promise<string>;
  close(): Promise<void>;
}

/** An issuer with one ES256 key. */
async function startIssuer(): Promise<BenchIssuer> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk: JWK = { ...(await exportJWK(publicKey)), kid: 'bench', alg: 'ES256', use: 'sig' };
  const server = createServer((incoming, outgoing) => {
    const isKeys = incoming.url === '/jwks';
    outgoing.setHeader('Content-Type', 'application/json');
    outgoing.end(JSON.stringify(isKeys ? { keys: [jwk] } : { issuer: url, jwks_uri: `${url}/jwks` }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    publicKey,
    sign: (id) =>
      new SignJWT({ scope: 'bench', client_id: 'bench' })
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'bench' })
        .setIssuer(url)
        .setSubject(id)
        .setJti(id)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(privateKey),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
