/** A host that takes connections, as it stands in production: behind what ends TLS, and known by its public name. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../src/config/load-config.ts';
import { createHost, type HostOptions } from '../src/host.ts';
import { createLogger } from '../src/telemetry/logger.ts';
import { toAskable } from './askable.ts';
import { type Askable, origin } from './authorization-server.ts';
import { findFreePort } from './redis-server.ts';

/** One that serves sign-in too. */
export interface ListeningHost extends Askable {
  /** The account that may do everything. */
  readonly account: { readonly name: string; readonly password: string };
  /** Lines of the log that tell of something wrong. */
  readonly warnings: readonly string[];
  close(): Promise<void>;
}

/** Taken before any test puts another in its place: the way in stays real when the way out is not. */
const { fetch } = globalThis;

/** Starts a host at a free port of loopback, with `AUTH=oauth`. */
export async function startListeningHost(server: HostOptions['server']): Promise<ListeningHost> {
  const folder = mkdtempSync(join(tmpdir(), 'mooring-host-'));
  // Known beforehand: a host that has a public URL does not tell where it listens.
  const port = await findFreePort();
  const warnings: string[] = [];
  const loaded = await loadConfig({
    environment: {
      AUTH: 'oauth',
      PUBLIC_URL: origin,
      PORT: String(port),
      // Clients keep idle connections, which a host that stops waits for; here nothing more comes on them.
      SHUTDOWN_GRACE_MS: '100',
      DATA_DIR: folder,
    },
    workingDir: folder,
  });
  const host = await createHost({
    server,
    ...loaded,
    logger: createLogger({ level: 'warn', destination: { write: (line) => void warnings.push(line) } }),
  });
  const close = async (): Promise<void> => {
    await host.close();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await host.listen();
    const { password } = host.firstUser ?? {};
    if (password === undefined) throw new Error('the first run made no account');
    const { ask } = toAskable(({ pathname, search }, init) =>
      fetch(`http://127.0.0.1:${port}${pathname}${search}`, init),
    );
    return { ask, account: { name: 'admin', password }, warnings, close };
  } catch (error) {
    await close();
    throw error;
  }
}
