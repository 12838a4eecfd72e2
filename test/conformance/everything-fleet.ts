/** Runs the fixture as a fleet: processes that share a Redis and a database, behind a balancer without affinity. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBalancer } from '../balancer.ts';
import { startRedis } from '../redis-server.ts';
import { type EverythingProcess, type Fixture, startEverything } from './everything-process.ts';

const instanceCount = 3;

/**
 * Starts three instances of a fixture, one Redis, and nginx in front, which gives each request to the next instance.
 *
 * @returns the fleet, to be treated as one process
 * @throws Error with a log when a part does not come up
 */
export async function startEverythingFleet(fixture: Fixture): Promise<EverythingProcess> {
  const stops: (() => Promise<unknown> | void)[] = [];
  const stop = async (): Promise<void> => {
    for (let next = stops.pop(); next !== undefined; next = stops.pop()) await next();
  };
  try {
    const dataDir = mkdtempSync(join(tmpdir(), 'mooring-everything-fleet-'));
    stops.push(() => rmSync(dataDir, { recursive: true, force: true }));
    const redis = await startRedis();
    stops.push(() => redis.stop());
    const environment = {
      REDIS_URL: redis.url,
      ENCRYPTION_KEY: randomBytes(32).toString('hex'),
      INSTANCES: String(instanceCount),
      // The fixture's own, when it is the one written with the SDK.
      EVERYTHING_STATE_KEY: randomBytes(32).toString('hex'),
    };
    const instances: EverythingProcess[] = [];
    stops.push(() => Promise.all(instances.map((instance) => instance.stop())));
    // One after the other: the first makes the data and its key.
    while (instances.length < instanceCount)
      instances.push(await startEverything(fixture, { dataDir, environment }));
    const balancer = await startBalancer(instances.map(({ url }) => Number(new URL(url).port)));
    stops.push(() => balancer.stop());
    return {
      url: balancer.url,
      key: instances[0]?.key ?? '',
      readLogs: () => instances.flatMap((instance) => instance.readLogs()),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
