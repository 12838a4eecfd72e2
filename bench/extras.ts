/** What one figure per call does not say: starting, memory, and what sessions cost that nobody uses. */
import { bareName, listCases, toMooringServer } from './cases.ts';
import { createLoad } from './load.ts';
import type { CaseFigures, FailedCase } from './report.ts';
import { prepareCase, takeSample, warmUp, type PreparedCase } from './sampler.ts';
import { ServerPool } from './server-pool.ts';
import type { ServerProcess, ServerSpec } from './server-process.ts';
import { round, toMedian } from './statistics.ts';
import { openSession, prepareCall } from './wire.ts';

const startRepeats = 5;
const idleSessions = 10_000;
const openersAtOnce = 32;
const idleRounds = 5;
const idleSampleMs = 1_500;

/** Figures of the product alone; `error` when they could not be taken. */
export async function measureExtras(
  figures: Readonly<Record<string, CaseFigures | FailedCase>>,
  report: (line: string) => void,
): Promise<Readonly<Record<string, number | string | null>>> {
  try {
    report('measuring starts');
    const start = await measureStart(toMooringServer(20));
    const bareServer = listCases().find(({ name }) => name === bareName)?.server;
    const bareStart = bareServer === undefined ? undefined : await measureStart(bareServer);
    report(`measuring ${idleSessions} idle sessions`);
    return {
      firstStartMs: start.firstStartMs,
      coldStartMs: start.coldStartMs,
      coldStartBareMs: bareStart?.coldStartMs ?? null,
      memoryAtStartBytes: start.rssBytes,
      memoryAtStartBareBytes: bareStart?.rssBytes ?? null,
      ...(await measureIdleSessions()),
      hundredToolsCpuRatioModern: toCpuRatio(figures, 'mooring/modern/100', 'mooring/modern/1'),
      hundredToolsCpuRatioLegacy: toCpuRatio(figures, 'mooring/legacy/100', 'mooring/legacy/1'),
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
    const before = await crowded.server.measure(true);
    await openSessions(crowded.server);
    const after = await crowded.server.measure(true);
    const crowdedMicros: number[] = [];
    const emptyMicros: number[] = [];
    for (let index = 0; index < idleRounds; index += 1) {
      crowdedMicros.push((await takeSample(crowded, idleSampleMs)).cpuMicros);
      emptyMicros.push((await takeSample(empty, idleSampleMs)).cpuMicros);
    }
    return {
      idleSessions,
      heapBytesPerIdleSession: Math.round((after.heapUsedBytes - before.heapUsedBytes) / idleSessions),
      rssBytesPerIdleSession: Math.round((after.rssBytes - before.rssBytes) / idleSessions),
      idleSessionsCpuRatio: round(toMedian(crowdedMicros) / toMedian(emptyMicros), 3),
    };
  } finally {
    await pool.close();
  }
}

function prepare(pool: ServerPool, key: string): Promise<PreparedCase> {
  const server: ServerSpec = { ...toMooringServer(20), nodeOptions: ['--expose-gc'] };
  return prepareCase({ name: key, server, serverKey: key, era: 'legacy', note: '' }, pool);
}

async function openSessions(server: ServerProcess): Promise<void> {
  let left = idleSessions;
  const opener = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await openSession(server);
    }
  };
  await Promise.all(Array.from({ length: openersAtOnce }, opener));
}

function toCpuRatio(
  figures: Readonly<Record<string, CaseFigures | FailedCase>>,
  name: string,
  againstName: string,
): number | null {
  const [figure, against] = [figures[name], figures[againstName]];
  if (figure === undefined || against === undefined || 'error' in figure || 'error' in against) return null;
  return round(figure.cpuMicros / against.cpuMicros, 3);
}
