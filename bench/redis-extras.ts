/** What sessions on Redis cost beside the call: on another instance than the last time, and when nobody uses them. */
import { setTimeout } from 'node:timers/promises';
import { toMooringOnRedis } from './cases.ts';
import { comparePairs, openSessions } from './extras.ts';
import { connectionCount, measureAll, takeSample, warmUp, type Measured } from './sampler.ts';
import { ServerPool } from './server-pool.ts';
import type { ServerProcess } from './server-process.ts';
import { round } from './statistics.ts';
import { prepareCall, toCallAt, type CallTemplate } from './wire.ts';

const toolCount = 20;
const idleSessions = 10_000;
/** Long enough for several heartbeats, and for the client's signs of life. */
const idleWindowMs = 6_000;
const redisSampleMs = 1_500;

type Figures = Readonly<Record<string, number | string>>;

/** Figures of the product on Redis; `redisError` when they could not be taken. */
export async function measureRedisExtras(report: (line: string) => void): Promise<Figures> {
  try {
    report('measuring sessions that change their instance');
    const hops = await measureHops();
    report(`measuring ${idleSessions} idle sessions on Redis`);
    return { ...hops, ...(await measureIdle()) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    report(`the extra figures on Redis are left out: ${message}`);
    return { redisError: message };
  }
}

/**
 * The same two processes serve the same sessions: each session on one of them, then each call on the one that did not
 * serve the last. What differs is only whether an instance has seen the session's last call.
 */
async function measureHops(): Promise<Figures> {
  const pool = new ServerPool();
  try {
    const [first, second] = await startTwins(pool);
    const calls = await Promise.all(
      Array.from({ length: connectionCount }, () => prepareCall(first, 'legacy')),
    );
    const turns = calls.map((call): [CallTemplate, CallTemplate] => [call, toCallAt(call, second.url)]);
    const server = { measure: () => measureAll([first, second]) };
    const staying: Measured = { server, templates: turns.map((turn, index) => turn[index % 2] ?? turn[0]) };
    const hopping: Measured = { server, templates: turns };
    for (const each of [staying, hopping]) await warmUp(each);
    return { hopCpuRatio: await comparePairs(hopping, staying) };
  } finally {
    await pool.close();
  }
}

async function measureIdle(): Promise<Figures> {
  const pool = new ServerPool();
  try {
    const spec = { ...toMooringOnRedis(toolCount), nodeOptions: ['--expose-gc'] };
    const [server, redis] = [await pool.load('idle', spec), await pool.loadRedis()];
    const prepared = Array.from({ length: connectionCount }, () => prepareCall(server, 'legacy'));
    const measured: Measured = { server, templates: await Promise.all(prepared) };
    await warmUp(measured);
    const [before, redisBefore] = [await server.measure(true), await redis.measure()];
    await openSessions(server, idleSessions);
    const [after, redisAfter] = [await server.measure(true), await redis.measure()];
    await setTimeout(idleWindowMs);
    const redisLater = await redis.measure();
    const sample = await takeSample(measured, redisSampleMs);
    const redisLoaded = await redis.measure();
    // Each reading is commands of its own: INFO and DBSIZE.
    const ownCommands = 2;
    const idleCommands = redisLater.commands - redisAfter.commands - ownCommands;
    const calls = sample.rps * (redisSampleMs / 1000);
    return {
      redisBytesPerIdleSession: Math.round((redisAfter.usedBytes - redisBefore.usedBytes) / idleSessions),
      redisKeysPerIdleSession: round((redisAfter.keys - redisBefore.keys) / idleSessions, 2),
      redisHeapBytesPerIdleSession: Math.round((after.heapUsedBytes - before.heapUsedBytes) / idleSessions),
      redisIdleCommandsPerSecond: round(idleCommands / (idleWindowMs / 1000), 1),
      redisCommandsPerCall: round((redisLoaded.commands - redisLater.commands) / calls, 1),
      redisCpuMicrosPerCall: round((redisLoaded.cpuMicros - redisLater.cpuMicros) / calls, 1),
    };
  } finally {
    await pool.close();
  }
}

async function startTwins(pool: ServerPool): Promise<readonly [ServerProcess, ServerProcess]> {
  const spec = toMooringOnRedis(toolCount);
  const first = await pool.load('first', spec);
  return [first, await pool.loadTwin('second', 'first', spec)];
}
