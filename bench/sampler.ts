/** Prepares each case once and takes one sample of it at a time. */
import type { BenchCase } from './cases.ts';
import { type CallTurns, createLoad } from './load.ts';
import type { Measurement, ServerProcess } from './server-process.ts';
import type { ServerPool } from './server-pool.ts';
import { loadMachineTicks, processorCount } from './statistics.ts';
import { prepareCall, toCallAt, type CallTemplate } from './wire.ts';

/** Connections that each call one at a time. */
export const connectionCount = 32;

const warmUpCalls = 10_000;
const warmUpStepMs = 500;
const minWarmUpMs = 2_000;
const maxWarmUpMs = 5_000;

/** One case, measured once. */
export interface Sample {
  readonly rps: number;
  readonly cpuMicros: number;
  readonly p99Ms: number;
  /** Share of the machine that was used by neither the server nor the client; `undefined` where unknown. */
  readonly foreignShare: number | undefined;
}

/** A case whose server runs and whose connections have what they need. */
export interface PreparedCase extends Measured {
  readonly benchCase: BenchCase;
  /** The first of the processes that serve it. */
  readonly first: ServerProcess;
}

/** What a sample is taken of: calls, and who is measured while they are answered. */
export interface Measured {
  readonly server: { measure(): Promise<Measurement> };
  readonly templates: readonly (CallTemplate | CallTurns)[];
  /** The Redis that the server uses: its time is not that of other programs. */
  readonly redis?: { measure(): Promise<{ readonly cpuMicros: number }> } | undefined;
}

/** @throws Error when the server does not start or refuses to open sessions */
export async function prepareCase(benchCase: BenchCase, pool: ServerPool): Promise<PreparedCase> {
  const { serverKey, server: spec, instances = 1, era } = benchCase;
  const first = await pool.load(serverKey, spec);
  const servers = [first];
  while (servers.length < instances)
    servers.push(await pool.loadTwin(`${serverKey}#${servers.length + 1}`, serverKey, spec));
  const calls = await Promise.all(Array.from({ length: connectionCount }, () => prepareCall(first, era)));
  const redis = spec.needsRedis === true ? await pool.loadRedis() : undefined;
  const templates = servers.length === 1 ? calls : calls.map((call, index) => toTurns(call, servers, index));
  return { benchCase, first, server: { measure: () => measureAll(servers) }, templates, redis };
}

/** The same call at each of several instances, from another one on for each connection. */
function toTurns(call: CallTemplate, servers: readonly ServerProcess[], start: number): CallTurns {
  return servers.map((_, index) => {
    const server = servers[(start + index) % servers.length];
    return server === undefined ? call : toCallAt(call, server.url);
  });
}

/** What several processes of one server say together. */
export async function measureAll(servers: readonly ServerProcess[], collect = false): Promise<Measurement> {
  const parts = await Promise.all(servers.map((server) => server.measure(collect)));
  const sum = (pick: (part: Measurement) => number): number =>
    parts.reduce((all, part) => all + pick(part), 0);
  return {
    cpuMicros: sum(({ cpuMicros }) => cpuMicros),
    rssBytes: sum(({ rssBytes }) => rssBytes),
    heapUsedBytes: sum(({ heapUsedBytes }) => heapUsedBytes),
  };
}

/**
 * Proves the answers and lets the compiler do its work; nothing of it is counted. A busy machine and a slow server
 * get more time for the same number of calls.
 *
 * @throws Error at the first answer that is not right
 */
export async function warmUp({ templates }: Measured): Promise<void> {
  const load = await createLoad(templates);
  let completed = 0;
  try {
    for (let elapsedMs = 0; elapsedMs < maxWarmUpMs; elapsedMs += warmUpStepMs) {
      if (elapsedMs >= minWarmUpMs && completed >= warmUpCalls) return;
      completed += (await load.run(warmUpStepMs)).completed;
    }
  } finally {
    load.close();
  }
}

/** @throws Error at the first answer that is not right */
export async function takeSample(
  { server, templates, redis }: Measured,
  durationMs: number,
): Promise<Sample> {
  const load = await createLoad(templates);
  try {
    const [before, machineBefore] = [await server.measure(), await loadMachineTicks()];
    const redisBefore = await redis?.measure();
    const ownBefore = process.cpuUsage();
    const { completed, elapsedMs, p99Ms } = await load.run(durationMs);
    const own = process.cpuUsage(ownBefore);
    const redisMicros = ((await redis?.measure())?.cpuMicros ?? 0) - (redisBefore?.cpuMicros ?? 0);
    const [machineAfter, after] = [await loadMachineTicks(), await server.measure()];
    const serverMicros = after.cpuMicros - before.cpuMicros;
    const known = machineBefore !== undefined && machineAfter !== undefined;
    const busyShare = known
      ? (machineAfter.busy - machineBefore.busy) / (machineAfter.total - machineBefore.total)
      : 0;
    const ownShare =
      (serverMicros + redisMicros + own.user + own.system) / (elapsedMs * 1000 * processorCount);
    return {
      rps: completed / (elapsedMs / 1000),
      cpuMicros: serverMicros / completed,
      p99Ms,
      foreignShare: known ? Math.max(0, busyShare - ownShare) : undefined,
    };
  } finally {
    load.close();
  }
}
