import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createIssuerKey } from '../../src/auth/issuers/test-issuer.contract.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { createHost, type Host } from '../../src/host.ts';
import { defineServer } from '../../src/mcp/server-definition.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { type IssuerServer, startIssuerServer } from '../issuer-server.ts';

interface Reply {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly body: string;
}

/** What is sent to one endpoint, how it is answered, and how often before that ends. */
const endpoints = [
  {
    name: 'a registration',
    path: '/oauth/register',
    type: 'application/json',
    toBody: (count: number) =>
      JSON.stringify({ client_name: `c${count}`, redirect_uris: ['https://c.example'] }),
    status: 201,
    times: 600,
    refused: /"error":"temporarily_unavailable"/,
  },
  {
    name: 'a grant that is not good',
    path: '/oauth/token',
    type: 'application/x-www-form-urlencoded',
    toBody: () => 'grant_type=refresh_token&refresh_token=x&client_id=x',
    status: 401,
    times: 600,
    refused: /"error":"temporarily_unavailable"/,
  },
  {
    name: 'an ID token that is not good',
    path: '/mcp/token',
    type: 'application/json',
    toBody: () => '{"subjectToken":"x"}',
    status: 401,
    times: 600,
    refused: /"code":"rate_limited"/,
  },
  {
    name: 'a token that is not good',
    path: '/mcp/token/refresh',
    type: 'application/json',
    toBody: () => '{"token":"x"}',
    status: 401,
    times: 600,
    refused: /"code":"rate_limited"/,
  },
  {
    name: 'a sign-in',
    path: '/oauth/interaction/none',
    type: 'application/x-www-form-urlencoded',
    toBody: (count: number) => `name=user${count}&password=x&decision=continue`,
    status: 400,
    times: 100,
    refused: /Too many attempts/,
  },
] as const;

let issuer: IssuerServer;

beforeAll(async () => {
  issuer = await startIssuerServer([(await createIssuerKey('k1')).jwk]);
});

afterAll(() => issuer.close());

/** What asks one endpoint, again and again. */
function toCaller({ path, type, toBody, status, times }: (typeof endpoints)[number]) {
  const post = (port: number, count: number, headers: Record<string, string> = {}): Promise<Reply> =>
    send(port, path, { 'content-type': type, ...headers }, toBody(count));
  return {
    post,
    /** @returns how many were answered as they should be before one was not, and that one */
    exhaust: async (port: number, toHeaders: (count: number) => Record<string, string>) => {
      // More than that only where the machine is so slow that some come back meanwhile.
      for (let count = 0; count < 2 * times; count += 1) {
        const reply = await post(port, count, toHeaders(count));
        if (reply.status !== status) return { count, reply };
      }
      return { count: Infinity, reply: undefined };
    },
  };
}

describe.each(endpoints)('$name', (endpoint) => {
  const { path, type, toBody, status, times, refused } = endpoint;
  const { exhaust } = toCaller(endpoint);

  test('is limited by the socket, whatever headers say, and for nobody at another address', async () => {
    await serve({}, async (port) => {
      const { count, reply } = await exhaust(port, (index) => ({
        'x-forwarded-for': `192.0.2.${index}`,
        forwarded: `for=192.0.2.${index}`,
      }));
      expect(count).toBeGreaterThanOrEqual(times);
      expect(reply).toMatchObject({ status: 429, body: expect.stringMatching(refused) });
      expect(Number(reply?.retryAfter)).toBeGreaterThan(0);
      expect((await send(port, path, { 'content-type': type }, toBody(0), '127.0.0.2')).status).toBe(status);
    });
  });
});

// An attempt and a failure: where the address comes from is the same for all.
describe.each([endpoints[0], endpoints[1]])('$name', (endpoint) => {
  const { path, type, toBody, status, times } = endpoint;
  const { post, exhaust } = toCaller(endpoint);

  test('is limited by the client that a trusted proxy names', async () => {
    await serve({ TRUSTED_PROXIES: '127.0.0.1' }, async (port) => {
      const { count, reply } = await exhaust(port, (index) =>
        index % 2 === 0
          ? { 'x-forwarded-for': `192.0.2.${index}, 198.51.100.7` }
          : { forwarded: `for=192.0.2.${index}, for="198.51.100.7:${index}"` },
      );
      expect(count).toBeGreaterThanOrEqual(times);
      expect(reply?.status).toBe(429);
      expect((await post(port, 0, { 'x-forwarded-for': '198.51.100.8' })).status).toBe(status);
      // No proxy: from there the header counts for nothing.
      const direct = { 'content-type': type, 'x-forwarded-for': '198.51.100.7' };
      expect((await send(port, path, direct, toBody(0), '127.0.0.2')).status).toBe(status);
    });
  });
});

/** Another sender is another address of loopback, all of which Linux has. */
function send(
  port: number,
  path: string,
  headers: Record<string, string>,
  body: string,
  localAddress = '127.0.0.1',
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      { port, host: '127.0.0.1', localAddress, method: 'POST', path, headers },
      (reply) => {
        let text = '';
        reply
          .setEncoding('utf8')
          .on('data', (part: string) => (text += part))
          .on('error', reject)
          .on('end', () => {
            resolve({ status: reply.statusCode ?? 0, retryAfter: reply.headers['retry-after'], body: text });
          });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Runs one on a free port for as long as the test needs it. */
async function serve(
  environment: Record<string, string>,
  use: (port: number) => Promise<void>,
): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'mooring-address-limits-'));
  const loaded = await loadConfig({
    environment: {
      AUTH: 'oauth',
      PORT: '0',
      SHUTDOWN_GRACE_MS: '1000',
      DATA_DIR: dataDir,
      TRUSTED_ISSUERS: JSON.stringify([
        { name: 'issuer', issuer: issuer.url, audience: 'app', uses: ['identity'] },
      ]),
      ...environment,
    },
    workingDir: dataDir,
  });
  const host: Host = await createHost({
    server: defineServer({ name: 'test', version: '1.0.0', baseScopes: ['notes:read'], tools: [] }),
    ...loaded,
    logger: createLogger({ level: 'silent' }),
  });
  try {
    await use(Number(new URL((await host.listen()).url).port));
  } finally {
    await host.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
}
