/**
 * Serves the fixture through the real host, authentication included: `npm run everything`, with `-- --sdk` the
 * version written with the official SDK.
 *
 * Its data is new with every start and gone afterwards, so that there is always a first key to print. The suite cannot
 * send a key; `--proxy` opens a second port on loopback that adds it, for whoever reaches that port.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../../src/config/load-config.ts';
import { ConfigError } from '../../../src/errors.ts';
import { createHost } from '../../../src/host.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { type HeaderProxy, startHeaderProxy } from '../header-proxy.ts';
import { everything } from './definition.ts';
import { createEverythingServer } from './sdk-server.ts';

const defaultPort = 3000;
const usage = 'Usage: npm run everything [-- [--sdk] [--proxy] [--json]]\n';

const flags = new Set(process.argv.slice(2));
const isSdk = flags.delete('--sdk');
const isJson = flags.delete('--json');
const hasProxy = flags.delete('--proxy');
if (flags.size > 0) {
  process.stderr.write(usage);
  process.exitCode = 1;
} else {
  await serve();
}

async function serve(): Promise<void> {
  // First of all, so that a signal during the start also leaves nothing behind.
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  const dataDir = mkdtempSync(join(tmpdir(), 'mooring-everything-'));
  try {
    await serveFrom(dataDir, stopped);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function serveFrom(dataDir: string, stopped: Promise<void>): Promise<void> {
  const { config, secrets } = await loadConfig({
    // Its own SQLite file, whatever the machine has configured for real servers.
    environment: {
      PORT: String(defaultPort),
      ...process.env,
      DATABASE_URL: undefined,
      DATABASE_URL_FILE: undefined,
      DATA_DIR: dataDir,
    },
    workingDir: dataDir,
  });
  const logger = createLogger({ level: config.log.logLevel });
  const server = isSdk ? createEverythingServer : everything;
  const host = await createHost({ server, config, secrets, logger });
  let proxy: HeaderProxy | undefined;
  try {
    const { url } = await host.listen();
    const key = host.firstRun?.secret ?? '';
    const { origin, pathname } = new URL(url);
    if (hasProxy)
      proxy = await startHeaderProxy({ target: origin, header: ['Authorization', `Bearer ${key}`] });
    announce({ url, key, ...(proxy === undefined ? {} : { proxyUrl: `${proxy.url}${pathname}` }) });
    await stopped;
  } finally {
    await proxy?.close();
    await host.close();
  }
}

function announce(served: { readonly url: string; readonly key: string; readonly proxyUrl?: string }): void {
  if (isJson) {
    process.stdout.write(`${JSON.stringify(served)}\n`);
    return;
  }
  const { url, key, proxyUrl } = served;
  const made = isSdk ? "the official SDK's McpServer" : 'defineServer';
  const lines = [
    `The everything server of the conformance suite, written with ${made}.`,
    `  URL    ${url}`,
    `  Key    ${key}   (send as Authorization: Bearer ...)`,
    ...(proxyUrl === undefined ? [] : [`  Proxy  ${proxyUrl}   (adds the key)`]),
    'Stop it with Ctrl+C.',
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
