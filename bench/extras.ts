/** What one figure per call does not say: starting, memory, and what sessions cost that nobody uses. */
import { bareName, type BenchCase, listCases, toMooringServer } from './cases.ts';
import { createLoad } from './load.ts';
import { prepareCase, takeSample, warmUp, type Measured, type PreparedCase } from './sampler.ts';
import { ServerPool } from './server-pool.ts';
import type { ServerProcess, ServerSpec } from './server-process.ts';
import { round, toMedian } from './statistics.ts';
import { openSession, prepareCall, type Endpoint } from './wire.ts';

const startRepeats = 5;
const idleSessions = 10_000;
const openersAtOnce = 32;
const pairCount = 12;
const pairSampleMs = 500;

/** Figures of the product alone; `error` when they could not be taken. */
export async function measureExtras(
  report: (line: string) => void,
): Promise<Readonly<Record<string, number | string | null>>> {
  try {
    report('measuring starts');
    const start = await measureStart(toMooringServer(20));
    const bareServer = listCases().find(({ name }) => name === bareName)?.server;
    const bareStart = bareServer === undefined ? undefined : await measureStart(bareServer);
    report(`measuring ${idleSessions} idle sessions`);
    const idle = await measureIdleSessions();
    report('measuring 100 tools against 1');
    return {
      firstStartMs: start.firstStartMs,
      coldStartMs: start.coldStartMs,
      coldStartBareMs: bareStart?.coldStartMs ?? null,
      memoryAtStartBytes: start.rssBytes,
      memoryAtStartBareBytes: bareStart?.rssBytes ?? null,
      ...idle,
      hundredToolsCpuRatioModern: await compareTools('modern'),
      hundredToolsCpuRatioLegacy: await compareTools('legacy'),
    };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    report(`the extra figures are left out: ${message}`);
    return { error: message };
  }
}

interface Start {
  /** On an empty folder: the database is made, a tenant and a key too. */
  readonly firstStartMs: number;
  /** On the data of an earlier start. */
  readonly coldStartMs: number;
  readonly rssBytes: number;
}

/** From the birth of the process to the first right answer to a call, and the memory the process then has. */
async function measureStart(spec: ServerSpec): Promise<Start> {
  const times: number[] = [];
  const memories: number[] = [];
  const pool = new ServerPool();
  const time = async (start: () => Promise<ServerProcess>): Promise<number> => {
    const startedAt = performance.now();
    const server = await start();
    await callOnce(server);
    const elapsedMs = performance.now() - startedAt;
    memories.push((await server.measure()).rssBytes);
    return elapsedMs;
  };
  try {
    const firstStartMs = await time(() => pool.load('start', spec));
    for (let index = 0; index < startRepeats; index += 1)
      times.push(await time(() => pool.restart('start', spec)));
    return {
      firstStartMs: Math.round(firstStartMs),
      coldStartMs: Math.round(toMedian(times)),
      rssBytes: Math.round(toMedian(memories)),
    };
  } finally {
    await pool.close();
  }
}

async function callOnce(server: ServerProcess): Promise<void> {
  const load = await createLoad([await prepareCall(server, 'modern')]);
  try {
    await load.run(0);
  } finally {
    load.close();
  }
}

async function measureIdleSessions(): Promise<Readonly<Record<string, number>>> {
  const pool = new ServerPool();
  try {
    const crowded = await prepare(pool, 'crowded');
    const empty = await prepare(pool, 'empty');
    for (const each of [crowded, empty]) await warmUp(each);
    const before = await crowded.first.measure(true);
    await openSessions(crowded.first, idleSessions);
    const after = await crowded.first.measure(true);
    return {
      idleSessions,
      heapBytesPerIdleSession: Math.round((after.heapUsedBytes - before.heapUsedBytes) / idleSessions),
      rssBytesPerIdleSession: Math.round((after.rssBytes - before.rssBytes) / idleSessions),
      idleSessionsCpuRatio: await comparePairs(crowded, empty),
    };
  } finally {
    await pool.close();
  }
}

function prepare(pool: ServerPool, key: string): Promise<PreparedCase> {
  const server: ServerSpec = { ...toMooringServer(20), nodeOptions: ['--expose-gc'] };
  return prepareCase({ name: key, server, serverKey: key, era: 'legacy', note: '' }, pool);
}

/** Opens sessions that nobody uses. */
export async function openSessions(server: Endpoint, count: number): Promise<void> {
  let left = count;
  const opener = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await openSession(server);
    }
  };
  await Promise.all(Array.from({ length: openersAtOnce }, opener));
}

async function compareTools(era: BenchCase['era']): Promise<number> {
  const pool = new ServerPool();
  try {
    const prepareTools = (tools: number): Promise<PreparedCase> => {
      const key = `tools-${tools}`;
      return prepareCase({ name: key, server: toMooringServer(tools), serverKey: key, era, note: '' }, pool);
    };
    const [hundred, one] = [await prepareTools(100), await prepareTools(1)];
    for (const each of [hundred, one]) await warmUp(each);
    return await comparePairs(hundred, one);
  } finally {
    await pool.close();
  }
}

/**
 * CPU time of one case against another: the median over pairs of samples taken back to back, first in one order, then
 * in the other, so that a machine that slows down or speeds up does so for both.
 */
export async function comparePairs(one: Measured, other: Measured): Promise<number> {
  const ratios: number[] = [];
  for (let pair = 0; pair < pairCount; pair += 1) {
    const order = pair % 2 === 0 ? [one, other] : [other, one];
    const samples = new Map<Measured, number>();
    for (const each of order) samples.set(each, (await takeSample(each, pairSampleMs)).cpuMicros);
    ratios.push((samples.get(one) ?? Number.NaN) / (samples.get(other) ?? Number.NaN));
  }
  return round(toMedian(ratios), 3);
}
