import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServer, type ServerProcess, type ServerSpec } from './server-process.ts';

/** Starts servers on demand, each with a folder of its own for its data and its log, removed at the end. */
export class ServerPool {
  readonly #servers = new Map<string, Promise<ServerProcess>>();
  readonly #folders = new Map<string, Promise<string>>();

  /** The server of this key; cases with one key share one. */
  load(key: string, spec: ServerSpec): Promise<ServerProcess> {
    const known = this.#servers.get(key);
    if (known !== undefined) return known;
    const started = this.#start(key, spec, undefined);
    this.#servers.set(key, started);
    return started;
  }

  /** Ends the server of this key and starts it again on the data that it left. */
  async restart(key: string, spec: ServerSpec): Promise<ServerProcess> {
    const previous = await this.#servers.get(key);
    await previous?.close();
    const started = this.#start(key, spec, previous?.token);
    this.#servers.set(key, started);
    return started;
  }

  async close(): Promise<void> {
    const servers = await Promise.allSettled(this.#servers.values());
    const started = servers.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    await Promise.all(started.map((server) => server.close()));
    const folders = await Promise.all(this.#folders.values());
    await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
  }

  async #start(key: string, spec: ServerSpec, token: string | undefined): Promise<ServerProcess> {
    const made = this.#folders.get(key) ?? mkdtemp(join(tmpdir(), 'mooring-bench-'));
    this.#folders.set(key, made);
    const folder = await made;
    const environment = { ...spec.environment, DATA_DIR: join(folder, 'data') };
    return startServer({ ...spec, environment }, { logFile: join(folder, 'stderr.log'), token });
  }
}
