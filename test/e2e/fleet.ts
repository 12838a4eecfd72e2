/** Several instances of one server behind a round-robin balancer, on one Redis and one database. */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { type Balancer, startBalancer } from '../balancer.ts';
import { createFolder, type MooringProcess, startMooring, workbenchModule } from './mooring-process.ts';

/** A fleet. Talk to it as to one server. */
export interface Fleet {
  readonly origin: string;
  /** Of the MCP endpoint, through the balancer. */
  readonly url: string;
  readonly key: string;
  /** In the order of their ports. */
  readonly instances: MooringProcess[];
  /** Starts an instance anew on the port of one that has ended. @param changed settings that it differs in */
  replace(index: number, changed?: Readonly<Record<string, string>>): Promise<void>;
  stop(): Promise<void>;
}

/** What a fleet is made of. */
export interface FleetOptions {
  readonly redisUrl: string;
  /** Default 3. */
  readonly count?: number;
  /** Default: the workbench. */
  readonly module?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts the instances one after the other: the first makes the tenant and the key. */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const { count = 3, module = workbenchModule } = options;
  const dataDir = createFolder();
  const environment = {
    REDIS_URL: options.redisUrl,
    ENCRYPTION_KEY: randomBytes(32).toString('hex'),
    INSTANCES: String(count),
    NODE_ENV: 'production',
    LOG_LEVEL: 'warn',
    ...options.environment,
  };
  const start = (changed: Readonly<Record<string, string>> = {}): Promise<MooringProcess> =>
    startMooring({
      module,
      dataDir,
      environment: { ...environment, ...changed },
    });
  const instances: MooringProcess[] = [];
  let balancer: Balancer | undefined;
  const stop = async (): Promise<void> => {
    await balancer?.stop();
    await Promise.all(instances.map((instance) => instance.stop()));
    rmSync(dataDir, { recursive: true, force: true });
  };
  try {
    for (let index = 0; index < count; index += 1) instances.push(await start());
    balancer = await startBalancer(instances.map(toPort));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    origin: balancer.origin,
    url: balancer.url,
    key: instances[0]?.key ?? '',
    instances,
    replace: async (index, changed = {}) => {
      const ended = instances[index];
      if (ended === undefined) throw new RangeError(`there is no instance ${index}`);
      await ended.exited;
      instances[index] = await start({ ...changed, PORT: String(toPort(ended)) });
    },
    stop,
  };
}

function toPort(instance: MooringProcess): number {
  return Number(new URL(instance.url).port);
}
