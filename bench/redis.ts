/** A Redis of the run's own, and what it says about itself. */
import { spawnSync } from 'node:child_process';
import { createClient } from 'redis';
import { startRedis } from '../test/redis-server.ts';

/** A started Redis. */
export interface BenchRedis {
  readonly url: string;
  measure(): Promise<RedisMeasurement>;
  close(): Promise<void>;
}

/** What a Redis holds and has done. */
export interface RedisMeasurement {
  /** User and system time of the process, in microseconds. */
  readonly cpuMicros: number;
  readonly usedBytes: number;
  readonly keys: number;
  /** Since its start, those that a script runs included. */
  readonly commands: number;
}

/** @throws Error when there is no `redis-server` on the path: a benchmark installs nothing in the system */
export async function startBenchRedis(): Promise<BenchRedis> {
  const found = spawnSync('redis-server', ['--version'], { stdio: 'ignore' });
  if (found.error !== undefined) throw new Error('redis-server is not on the path');
  const server = await startRedis();
  const client = createClient({ url: server.url });
  client.on('error', () => undefined);
  await client.connect();
  return {
    url: server.url,
    measure: async () => {
      const text = await client.info();
      const read = (name: string): number => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(text)?.[1]);
      return {
        cpuMicros: Math.round((read('used_cpu_user') + read('used_cpu_sys')) * 1_000_000),
        usedBytes: read('used_memory'),
        keys: await client.dbSize(),
        commands: read('total_commands_processed'),
      };
    },
    close: async () => {
      client.destroy();
      await server.stop();
    },
  };
}
