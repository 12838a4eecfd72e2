/** A whole host over real stores, asked as a runtime asks it that listens itself: without a socket. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Config, Secrets } from '../src/config/config.ts';
import { loadConfig } from '../src/config/load-config.ts';
import type { DatabaseTarget } from '../src/database/open-database.ts';
import { createHost, type Host } from '../src/host.ts';
import { defineServer } from '../src/mcp/server-definition.ts';
import { createLogger } from '../src/telemetry/logger.ts';
import { toAskable } from './askable.ts';
import { type Askable, origin } from './authorization-server.ts';

/** What a test may want otherwise. */
export interface TestHostOptions {
  /** Beyond the public URL and where data is kept. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Default: a file of its own, which ends with the host. */
  readonly target?: DatabaseTarget;
}

/** One host. */
export interface TestHost extends Askable {
  readonly host: Host;
  readonly config: Config;
  readonly secrets: Secrets;
  /** Everything that it logged, at the lowest level: a JSON object each. */
  readonly lines: readonly string[];
  /** Asks for a path under the public URL. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Posts one message to the MCP endpoint. Default: what opens a session. */
  post(headers: Readonly<Record<string, string>>, method?: string, query?: string): Promise<Response>;
  /** Another host over the same data: another instance, or this one after a restart. */
  openOther(): Promise<TestHost>;
  close(): Promise<void>;
}

/** Opens a host of a server with nothing in it. */
export async function openTestHost(options: TestHostOptions = {}): Promise<TestHost> {
  const folder = mkdtempSync(join(tmpdir(), 'mooring-host-'));
  const environment = {
    PUBLIC_URL: origin,
    SHUTDOWN_GRACE_MS: '1000',
    DATA_DIR: folder,
    ...(options.target !== undefined && toSettings(options.target)),
    ...options.environment,
  };
  const open = await openOn(environment, folder);
  return {
    ...open,
    close: async () => {
      await open.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function toSettings(target: DatabaseTarget): Readonly<Record<string, string>> {
  return target.kind === 'postgres'
    ? { DATABASE_URL: target.url, ENCRYPTION_KEY: 'ab'.repeat(32) }
    : { DATA_DIR: dirname(target.path) };
}

async function openOn(environment: Readonly<Record<string, string>>, workingDir: string): Promise<TestHost> {
  const lines: string[] = [];
  const { config, secrets } = await loadConfig({ environment, workingDir });
  const host = await createHost({
    server: defineServer({ name: 'test', version: '1.0.0', baseScopes: ['notes:read'], tools: [] }),
    config,
    secrets,
    logger: createLogger({ level: 'trace', destination: { write: (line) => void lines.push(line) } }),
  });
  const fetch = (path: string, { headers = {}, ...init }: RequestInit = {}): Promise<Response> =>
    host.fetch(
      new Request(new URL(path, origin), {
        ...init,
        headers: { host: 'mcp.example.com', ...(headers as Readonly<Record<string, string>>) },
      }),
    );
  return {
    host,
    config,
    secrets,
    lines,
    fetch,
    ...toAskable((url, init) => host.fetch(new Request(url, init))),
    post: (headers, method = 'initialize', query = '') =>
      fetch(`/mcp${query}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...headers,
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, ...(method === 'initialize' && { params }) }),
      }),
    openOther: () => openOn(environment, workingDir),
    close: () => host.close(),
  };
}

const params = {
  protocolVersion: '2025-11-25',
  clientInfo: { name: 'c', version: '1' },
  capabilities: {},
};

/** The header that presents a token. */
export function bearer(token: string): Readonly<Record<string, string>> {
  return { authorization: `Bearer ${token}` };
}
