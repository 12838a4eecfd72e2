/**
 * Serves the fixture through the real host, authentication included: `npm run everything`, with `-- --sdk` the
 * version written with the official SDK.
 *
 * Its data is new with every start and gone afterwards, so that there is always a first key to print. Only
 * `--data-dir <folder>` keeps it: for instances side by side, started one after the other with the same REDIS_URL and
 * ENCRYPTION_KEY, of which the first prints the key. The suite cannot send a key; `--proxy` opens a second port on
 * loopback that adds it, for whoever reaches that port.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadConfig } from '../../../src/config/load-config.ts';
import { ConfigError } from '../../../src/errors.ts';
import { createHost } from '../../../src/host.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { type HeaderProxy, startHeaderProxy } from '../header-proxy.ts';
import { everything } from './definition.ts';
import { createEverythingServer } from './sdk-server.ts';

const defaultPort = 3000;
const usage = 'Usage: npm run everything [-- [--sdk] [--proxy] [--json] [--data-dir <folder>]]\n';

/** What the command line asks for. */
interface Flags {
  readonly sdk?: boolean;
  readonly proxy?: boolean;
  readonly json?: boolean;
  readonly 'data-dir'?: string;
}

const flags = parseFlags(process.argv.slice(2));
if (flags === undefined) {
  process.stderr.write(usage);
  process.exitCode = 1;
} else {
  await serve(flags);
}

/** `undefined` for what this program does not understand. */
function parseFlags(args: string[]): Flags | undefined {
  try {
    return parseArgs({
      args,
      options: {
        sdk: { type: 'boolean' },
        proxy: { type: 'boolean' },
        json: { type: 'boolean' },
        'data-dir': { type: 'string' },
      },
    }).values;
  } catch {
    return undefined;
  }
}

async function serve(given: Flags): Promise<void> {
  // First of all, so that a signal during the start also leaves nothing behind.
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  const shared = given['data-dir'];
  const dataDir = shared ?? mkdtempSync(join(tmpdir(), 'mooring-everything-'));
  try {
    await serveFrom(dataDir, given, stopped);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  } finally {
    if (shared === undefined) rmSync(dataDir, { recursive: true, force: true });
  }
}

async function serveFrom(dataDir: string, given: Flags, stopped: Promise<void>): Promise<void> {
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
  const server = given.sdk === true ? createEverythingServer : everything;
  const host = await createHost({ server, config, secrets, logger });
  let proxy: HeaderProxy | undefined;
  try {
    const { url } = await host.listen();
    const key = host.firstRun?.secret ?? '';
    const { origin, pathname } = new URL(url);
    if (given.proxy === true)
      proxy = await startHeaderProxy({ target: origin, header: ['Authorization', `Bearer ${key}`] });
    announce({ url, key, ...(proxy === undefined ? {} : { proxyUrl: `${proxy.url}${pathname}` }) }, given);
    await stopped;
  } finally {
    await proxy?.close();
    await host.close();
  }
}

function announce(
  served: { readonly url: string; readonly key: string; readonly proxyUrl?: string },
  { json, sdk }: Flags,
): void {
  if (json === true) {
    process.stdout.write(`${JSON.stringify(served)}\n`);
    return;
  }
  const { url, key, proxyUrl } = served;
  const made = sdk === true ? "the official SDK's McpServer" : 'defineServer';
  const shownKey = key === '' ? 'as the first instance printed it' : key;
  const lines = [
    `The everything server of the conformance suite, written with ${made}.`,
    `  URL    ${url}`,
    `  Key    ${shownKey}   (send as Authorization: Bearer ...)`,
    ...(proxyUrl === undefined ? [] : [`  Proxy  ${proxyUrl}   (adds the key)`]),
    'Stop it with Ctrl+C.',
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
