/**
 * Serves the fixture through the real host, authentication included: `npm run everything [-- --sdk] [-- --json]`.
 *
 * Its data is new with every start and gone afterwards, so that there is always a first key to print. Anyone can then
 * point the conformance suite at it, through something that sends the key (see `header-proxy.ts`).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../../src/config/load-config.ts';
import { ConfigError } from '../../../src/errors.ts';
import { createHost } from '../../../src/host.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { everything } from './definition.ts';
import { createEverythingServer } from './sdk-server.ts';

const defaultPort = 3000;
const usage = 'Usage: npm run everything [-- [--sdk] [--json]]\n';

const flags = new Set(process.argv.slice(2));
const isSdk = flags.delete('--sdk');
const isJson = flags.delete('--json');
if (flags.size > 0) {
  process.stderr.write(usage);
  process.exitCode = 1;
} else {
  await serve();
}

async function serve(): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'mooring-everything-'));
  try {
    await serveFrom(dataDir);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function serveFrom(dataDir: string): Promise<void> {
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
  try {
    const stopped = new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
    });
    const { url } = await host.listen();
    announce(url, host.firstRun?.secret ?? '');
    await stopped;
  } finally {
    await host.close();
  }
}

function announce(url: string, key: string): void {
  const text = [
    `The everything server of the conformance suite, written with ${isSdk ? "the official SDK's McpServer" : 'defineServer'}.`,
    `  URL  ${url}`,
    `  Key  ${key}   (send as Authorization: Bearer ...)`,
    'Stop it with Ctrl+C.',
  ].join('\n');
  process.stdout.write(`${isJson ? JSON.stringify({ url, key }) : text}\n`);
}
