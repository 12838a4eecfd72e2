import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BenchRedis, startBenchRedis } from './redis.ts';
import { startServer, type ServerProcess, type ServerSpec } from './server-process.ts';

/** Starts servers on demand, each with a folder of its own for its data and its log, removed at the end. */
export class ServerPool {
  readonly #servers = new Map<string, Promise<ServerProcess>>();
  readonly #folders = new Map<string, Promise<string>>();
  #redis: Promise<BenchRedis> | undefined;

  /** One Redis for all servers of this pool, started when the first of them needs it. */
  loadRedis(): Promise<BenchRedis> {
    this.#redis ??= startBenchRedis();
    return this.#redis;
  }

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

  /** Another instance of a server that runs, on the same data. */
  async loadTwin(key: string, twinOf: string, spec: ServerSpec): Promise<ServerProcess> {
    const [first, folder] = [await this.#servers.get(twinOf), this.#folders.get(twinOf)];
    if (first === undefined || folder === undefined) throw new Error(`${twinOf} was not started`);
    this.#folders.set(key, folder);
    const started = this.#start(key, spec, first.token);
    this.#servers.set(key, started);
    return started;
  }

  async close(): Promise<void> {
    const servers = await Promise.allSettled(this.#servers.values());
    const started = servers.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    await Promise.all(started.map((server) => server.close()));
    await (await this.#redis?.catch(() => undefined))?.close();
    const folders = new Set(await Promise.all(this.#folders.values()));
    await Promise.all([...folders].map((folder) => rm(folder, { recursive: true, force: true })));
  }

  async #start(key: string, spec: ServerSpec, token: string | undefined): Promise<ServerProcess> {
    const made = this.#folders.get(key) ?? mkdtemp(join(tmpdir(), 'mooring-bench-'));
    this.#folders.set(key, made);
    const folder = await made;
    const redis = spec.needsRedis === true ? { REDIS_URL: (await this.loadRedis()).url } : {};
    const environment = { ...spec.environment, ...redis, DATA_DIR: join(folder, 'data') };
    // A key may name an era and a size; twins in one folder have a log each.
    const logFile = join(folder, `${key.replaceAll(/[^\w-]/g, '-')}.log`);
    return startServer({ ...spec, environment }, { logFile, token });
  }
}
