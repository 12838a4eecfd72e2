/** Redis with TLS and passwords: a server with an authority of its own, and Sentinels whose password is another. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect, promisify } from 'node:util';
import { createClient } from 'redis';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ConfigError, UpstreamError } from '../../src/errors.ts';
import { openRedis, type RedisConnection } from '../../src/redis/redis-connection.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { findProgram } from '../program.ts';
import { findFreePort, startRedis, startSentinel, type RedisServer } from '../redis-server.ts';

const logger = createLogger({ level: 'silent' });
const opened: RedisConnection[] = [];
const servers: RedisServer[] = [];
let folder: string;

async function open(url: string, connectTimeoutMs = 10_000): Promise<RedisConnection> {
  const redis = await openRedis({ url, logger, commandTimeoutMs: 10_000, connectTimeoutMs });
  opened.push(redis);
  return redis;
}

/** Why a connection cannot be opened. */
async function failureOf(url: string): Promise<string> {
  const failure: unknown = await open(url, 2000).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(UpstreamError);
  return inspect((failure as UpstreamError).cause);
}

/** An authority, and two certificates of its: for this machine's name and address, and for its name only. */
async function makeCertificates(): Promise<void> {
  const run = promisify(execFile);
  const openssl = await findProgram('openssl', 'openssl');
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const name = (text: string): string[] => ['-days', '2', '-subj', `/CN=${text}`];
  const files = (key: string, certificate: string): string[] => ['-keyout', key, '-out', certificate];
  const issuer = (names: string): string[] => [
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca-key.pem',
    '-addext',
    `subjectAltName=${names}`,
  ];
  const issued = {
    '': 'DNS:localhost,IP:127.0.0.1',
    'named-': 'DNS:localhost',
  };
  await run(openssl, [...request, ...name('authority'), ...files('ca-key.pem', 'ca.pem')], { cwd: folder });
  for (const [prefix, names] of Object.entries(issued)) {
    const written = files(`${prefix}key.pem`, `${prefix}cert.pem`);
    await run(openssl, [...request, ...name('redis'), ...written, ...issuer(names)], { cwd: folder });
  }
}

function toTlsSettings(tlsPort: number, more: readonly (readonly string[])[] = [], prefix = ''): string[][] {
  return [
    ['tls-port', String(tlsPort)],
    ['tls-cert-file', join(folder, `${prefix}cert.pem`)],
    ['tls-key-file', join(folder, `${prefix}key.pem`)],
    ['tls-ca-cert-file', join(folder, 'ca.pem')],
    ...more.map((line) => [...line]),
  ];
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mooring-tls-'));
  await makeCertificates();
});
afterEach(async () => {
  for (const redis of opened.splice(0)) await redis.close();
});
afterAll(async () => {
  for (const server of servers) await server.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('Redis with TLS', () => {
  let port: number;
  let strictPort: number;

  beforeAll(async () => {
    port = await findFreePort();
    servers.push(await startRedis({ settings: toTlsSettings(port, [['tls-auth-clients', 'no']]) }));
    strictPort = await findFreePort();
    servers.push(await startRedis({ settings: toTlsSettings(strictPort, [], 'named-') }));
  });

  it.each(['localhost', '127.0.0.1'])('is reached as %s with an authority of its own', async (host) => {
    const redis = await open(`rediss://${host}:${port}?tls_ca_file=${folder}/ca.pem`);
    await redis.client.set('over', 'tls');
    expect(await redis.client.get('over')).toBe('tls');
    const received: string[] = [];
    const subscriber = await redis.createSubscriber();
    await subscriber.subscribe('news', (message) => received.push(message));
    await redis.client.publish('news', 'heard');
    await vi.waitFor(() => expect(received).toEqual(['heard']), { timeout: 20_000 });
  });

  it('is not believed without its authority, nor under a name that is not its own', async () => {
    expect(await failureOf(`rediss://localhost:${port}`)).toMatch(/self-signed certificate|unable to verify/);
    const files = `tls_ca_file=${folder}/ca.pem&tls_cert_file=${folder}/cert.pem&tls_key_file=${folder}/key.pem`;
    expect(await failureOf(`rediss://127.0.0.1:${strictPort}?${files}`)).toContain('altnames');
  });

  it('is shown our certificate where it asks for one', async () => {
    const url = `rediss://localhost:${strictPort}?tls_ca_file=${folder}/ca.pem`;
    await expect(open(url, 1000)).rejects.toThrow(UpstreamError);
    const redis = await open(`${url}&tls_cert_file=${folder}/cert.pem&tls_key_file=${folder}/key.pem`);
    await redis.check();
  });

  it('names the file that it cannot read', async () => {
    const opening = open(`rediss://:secret@localhost:${port}?tls_ca_file=${folder}/none.pem`);
    await expect(opening).rejects.toThrow(ConfigError);
    await expect(opening).rejects.toThrow(/tls_ca_file .*none\.pem cannot be read \(ENOENT\)/);
    await expect(opening).rejects.not.toThrow('secret');
  });
});

describe('Sentinels', () => {
  it('are asked with a password of their own, and over TLS', async () => {
    const tlsPort = await findFreePort();
    const master = await startRedis({
      settings: toTlsSettings(tlsPort, [
        ['tls-auth-clients', 'no'],
        ['requirepass', 'of-data'],
      ]),
    });
    const sentinelTlsPort = await findFreePort();
    const sentinel = await startSentinel('main', tlsPort, [
      'sentinel auth-pass main of-data',
      'requirepass of-sentinels',
      'tls-replication yes',
      ...toTlsSettings(sentinelTlsPort, [['tls-auth-clients', 'no']]).map((line) => line.join(' ')),
    ]);
    servers.push(master, sentinel);
    const observer = createClient({ url: sentinel.url, password: 'of-sentinels' });
    await observer.connect();
    await vi.waitFor(
      async () =>
        expect(
          JSON.stringify(await observer.sendCommand(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'main'])),
        ).toContain(String(tlsPort)),
      { timeout: 20_000 },
    );
    observer.destroy();
    const at = `rediss+sentinel://:of-data@localhost:${sentinelTlsPort}/main?tls_ca_file=${folder}/ca.pem`;
    const redis = await open(`${at}&sentinel_password=of-sentinels`);
    await redis.client.set('behind', 'sentinels');
    expect(await redis.client.get('behind')).toBe('sentinels');
    await expect(open(`${at}&sentinel_password=wrong`, 1000)).rejects.toThrow(UpstreamError);
  });
});
