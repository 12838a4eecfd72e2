/**
 * What a fleet's size costs on Redis: many sessions that nobody uses, many open streams, and questions that are answered
 * at another instance than the one that asks.
 */
import { setTimeout } from 'node:timers/promises';
import { toMooringOnRedis, toMooringServer } from './cases.ts';
import { comparePairs, openSessions } from './extras.ts';
import { callTool, createAsker, openStreams, type Question } from './conversation.ts';
import { connectionCount, measureAll, takeSample, warmUp, type Measured } from './sampler.ts';
import { ServerPool } from './server-pool.ts';
import type { ServerProcess, ServerSpec } from './server-process.ts';
import { round, toMedian } from './statistics.ts';
import { openSession, prepareCall } from './wire.ts';

const toolCount = 20;
const manySessions = 100_000;
const fewSessions = 100;
const manyStreams = 5_000;
const streamRounds = 5;
/** Longer than every stream takes to look after its session once. */
const streamWindowMs = 66_000;
const idleWindowMs = 10_000;
const redisSampleMs = 3_000;
const askersAtOnce = 8;
const questionsPerAsker = 60;
const questionPairs = 6;

type Figures = Readonly<Record<string, number | string>>;

/** Figures of the product on Redis at size; `redisScaleError` when they could not be taken. */
export async function measureRedisScale(report: (line: string) => void): Promise<Figures> {
  try {
    report('measuring questions that are answered elsewhere');
    const questions = await measureQuestions();
    report(`measuring ${manyStreams} open streams`);
    const streams = await measureStreams();
    report(`measuring ${manySessions} sessions against ${fewSessions}`);
    return { ...questions, ...streams, ...(await measureCrowd()) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    report(`the figures at size are left out: ${message}`);
    return { redisScaleError: message };
  }
}

/** The product with what is needed here and no more than is allowed elsewhere. */
function toRoomy(spec: ServerSpec): ServerSpec {
  return {
    ...spec,
    nodeOptions: ['--expose-gc'],
    environment: {
      ...spec.environment,
      BENCH_TALKS: '1',
      MAX_SESSIONS_PER_PRINCIPAL: String(2 * manySessions),
      MAX_STREAMS_PER_PRINCIPAL: String(2 * manyStreams),
    },
  };
}

/**
 * The cost of a call, and of Redis's part in it, beside a hundred and beside a hundred thousand sessions that nobody
 * uses: one server and one Redis each, samples in pairs.
 */
async function measureCrowd(): Promise<Figures> {
  const [crowdedPool, emptyPool] = [new ServerPool(), new ServerPool()];
  try {
    const [crowded, empty] = [await startCrowd(crowdedPool), await startCrowd(emptyPool)];
    await openSessions(empty.server, fewSessions);
    const [before, redisBefore] = [await crowded.server.measure(true), await crowded.redis.measure()];
    const startedAt = performance.now();
    await openSessions(crowded.server, manySessions);
    const openedMs = performance.now() - startedAt;
    const [after, redisAfter] = [await crowded.server.measure(true), await crowded.redis.measure()];
    const redisMicros = async ({ measured, redis }: Crowd): Promise<number> => {
      const from = await redis.measure();
      const { rps } = await takeSample(measured, redisSampleMs);
      return ((await redis.measure()).cpuMicros - from.cpuMicros) / (rps * (redisSampleMs / 1000));
    };
    const [crowdedRedis, emptyRedis] = [await redisMicros(crowded), await redisMicros(empty)];
    const perSession = (from: number, to: number): number => Math.round((to - from) / manySessions);
    return {
      crowdSessions: manySessions,
      crowdOpenedPerSecond: Math.round(manySessions / (openedMs / 1000)),
      crowdRedisBytesPerSession: perSession(redisBefore.usedBytes, redisAfter.usedBytes),
      crowdHeapBytesPerSession: perSession(before.heapUsedBytes, after.heapUsedBytes),
      crowdRssBytesPerSession: perSession(before.rssBytes, after.rssBytes),
      crowdRedisMicrosPerSession: round((redisAfter.cpuMicros - redisBefore.cpuMicros) / manySessions, 1),
      crowdRedisMicrosPerCall: round(crowdedRedis, 1),
      crowdRedisCpuRatio: round(crowdedRedis / emptyRedis, 3),
      crowdCpuRatio: await comparePairs(crowded.measured, empty.measured),
    };
  } finally {
    await Promise.all([crowdedPool.close(), emptyPool.close()]);
  }
}

interface Crowd {
  readonly server: ServerProcess;
  readonly redis: Awaited<ReturnType<ServerPool['loadRedis']>>;
  readonly measured: Measured;
}

async function startCrowd(pool: ServerPool): Promise<Crowd> {
  const server = await pool.load('crowd', toRoomy(toMooringOnRedis(toolCount)));
  const calls = Array.from({ length: connectionCount }, () => prepareCall(server, 'legacy'));
  const measured: Measured = { server, templates: await Promise.all(calls) };
  await warmUp(measured);
  return { server, redis: await pool.loadRedis(), measured };
}

/** Sessions that each hold a stream open at one instance, and hear of a change that happens at another. */
async function measureStreams(): Promise<Figures> {
  const pool = new ServerPool();
  try {
    const spec = toRoomy(toMooringOnRedis(toolCount));
    const holder = await pool.load('holder', spec);
    const teller = await pool.loadTwin('teller', 'holder', spec);
    const redis = await pool.loadRedis();
    const telling = await openSession(teller);
    await callTool(teller, telling, 'tell');
    await openSessions(holder, connectionCount);
    const [before, idleBefore] = [await holder.measure(true), await countIdle(redis)];
    const streams = await openStreams(holder, manyStreams);
    try {
      const [after, idleAfter] = [await holder.measure(true), await countIdle(redis, streamWindowMs)];
      const [cpuFrom, from] = [(await holder.measure()).cpuMicros, performance.now()];
      await setTimeout(idleWindowMs);
      const idleCpu = ((await holder.measure()).cpuMicros - cpuFrom) / (performance.now() - from) / 10;
      const times: number[] = [];
      for (let turn = 0; turn < streamRounds; turn += 1) {
        const heard = streams.waitForAll('notifications/tools/list_changed');
        const startedAt = performance.now();
        await callTool(teller, telling, 'tell');
        await heard;
        times.push(performance.now() - startedAt);
      }
      return {
        openStreams: manyStreams,
        heapBytesPerOpenStream: Math.round((after.heapUsedBytes - before.heapUsedBytes) / manyStreams),
        rssBytesPerOpenStream: Math.round((after.rssBytes - before.rssBytes) / manyStreams),
        idleCommandsPerSecondWithoutStreams: round(idleBefore, 1),
        idleCommandsPerSecondWithStreams: round(idleAfter, 1),
        idleCpuPercentWithStreams: round(idleCpu, 1),
        notifyAllMs: Math.round(toMedian(times)),
      };
    } finally {
      streams.close();
    }
  } finally {
    await pool.close();
  }
}

/** Commands a second of two instances that nobody calls. */
async function countIdle(
  redis: Awaited<ReturnType<ServerPool['loadRedis']>>,
  windowMs = idleWindowMs,
): Promise<number> {
  const from = await redis.measure();
  await setTimeout(windowMs);
  // The second reading's own are counted: INFO and DBSIZE.
  const ownCommands = 2;
  return ((await redis.measure()).commands - from.commands - ownCommands) / (windowMs / 1000);
}

/**
 * A call that asks its caller, from the first byte of the call to the last of its result: answered at the instance that
 * asks, in memory; and at another one, on Redis.
 */
async function measureQuestions(): Promise<Figures> {
  const [memoryPool, redisPool] = [new ServerPool(), new ServerPool()];
  try {
    const alone = await memoryPool.load('alone', toRoomy(toMooringServer(toolCount)));
    const spec = toRoomy(toMooringOnRedis(toolCount));
    const asking = await redisPool.load('asking', spec);
    const other = await redisPool.loadTwin('other', 'asking', spec);
    const inMemory: Conversation = { servers: [alone], asker: { asks: alone, answers: alone } };
    const elsewhere: Conversation = { servers: [asking, other], asker: { asks: asking, answers: other } };
    const atHome: Conversation = { servers: [asking, other], asker: { asks: asking, answers: asking } };
    for (const each of [inMemory, elsewhere, atHome]) await converse(each);
    const turns: { readonly memory: Cost; readonly elsewhere: Cost; readonly atHome: Cost }[] = [];
    for (let pair = 0; pair < questionPairs; pair += 1)
      turns.push({
        memory: await converse(inMemory),
        elsewhere: await converse(elsewhere),
        atHome: await converse(atHome),
      });
    const ratio = (pick: (turn: (typeof turns)[number]) => number): number =>
      round(toMedian(turns.map(pick)), 2);
    return {
      questionMemoryMs: ratio(({ memory }) => memory.ms),
      questionElsewhereMs: ratio((turn) => turn.elsewhere.ms),
      questionElsewhereTimeRatio: ratio((turn) => turn.elsewhere.ms / turn.memory.ms),
      questionElsewhereCpuRatio: ratio((turn) => turn.elsewhere.cpuMicros / turn.memory.cpuMicros),
      questionAtHomeTimeRatio: ratio((turn) => turn.atHome.ms / turn.memory.ms),
    };
  } finally {
    await Promise.all([memoryPool.close(), redisPool.close()]);
  }
}

interface Conversation {
  readonly servers: readonly ServerProcess[];
  readonly asker: Question;
}

/** Medians over one round of questions. */
interface Cost {
  readonly ms: number;
  readonly cpuMicros: number;
}

async function converse({ servers, asker }: Conversation): Promise<Cost> {
  const askers = await Promise.all(Array.from({ length: askersAtOnce }, () => createAsker(asker)));
  const before = await measureAll(servers);
  const times = await Promise.all(
    askers.map(async (ask) => {
      const own: number[] = [];
      for (let count = 0; count < questionsPerAsker; count += 1) own.push(await ask());
      return own;
    }),
  );
  const after = await measureAll(servers);
  const count = askersAtOnce * questionsPerAsker;
  return { ms: toMedian(times.flat()), cpuMicros: (after.cpuMicros - before.cpuMicros) / count };
}
