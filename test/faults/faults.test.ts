/**
 * What callers of a fleet see while its instances and its Redis fail under them. In every test: no tool runs twice for
 * one call, no call succeeds without having run, events arrive once and in order, and what fails says so in time.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  callModern,
  collectEvents,
  getStream,
  initialize,
  postLegacy,
  toMessages,
  type WireEvent,
} from '../e2e/wire.ts';
import { type RedisCluster, startRedisCluster } from '../redis-cluster.ts';
import { type RedisServer, startRedis, startSentinel } from '../redis-server.ts';
import type { Load } from './load.ts';
import { failWithinMs, type Outcome, recoverWithinMs, type Scene, startScene, waitFor } from './scene.ts';

/** What the ledger's tool says when the answer to its question met the fault. */
const unansweredQuestion = 'The client did not answer within 5000 ms';
/** What a caller is told by the balancer when an instance is gone. */
const gone = 'HTTP 502';
/**
 * Calls, and answers to questions, of many hundreds, that a balancer which was not told of a stop may send on a connection in the very moment in which
 * it ends, or while the machine gives nobody a turn. See "What is promised" in the guide to sessions.
 */
const mostUnluckyCalls = 5;
/** What a caller is told whose instance died under its call. */
const deathKinds = [gone, 'connection lost', 'instance_lost', unansweredQuestion];
/** What a caller is told while Redis is away. */
const unavailableKinds = ['HTTP 503', unansweredQuestion];

function printTally(scene: Scene | undefined): void {
  process.stdout.write(`\n${scene?.lines.join('\n')}\n\n`);
}

/** What holds whatever happens. @param failures the ways in which calls may fail */
function expectSound(outcome: Outcome, failures: readonly string[]): void {
  const { tally, recoveredInMs, deaf, repeated } = outcome;
  expect(tally.twice).toEqual([]);
  expect(tally.unexecuted).toEqual([]);
  expect(tally.disordered).toEqual([]);
  const unexpected = Object.entries(tally.failed).filter(([kind]) => !failures.includes(kind));
  expect(Object.fromEntries(unexpected)).toEqual({});
  expect(tally.slowestFailureMs).toBeLessThan(failWithinMs);
  expect(recoveredInMs).toBeLessThan(recoverWithinMs);
  expect(deaf).toEqual([]);
  expect(repeated).toEqual([]);
}

/** Redis kept its data: clients keep their sessions, their keys and their events. */
function expectSessionsKept({ initializedAgain, statuses, tally }: Outcome): void {
  expect(tally.incomplete).toEqual([]);
  expect(initializedAgain).toBe(0);
  expect(statuses).not.toHaveProperty('401');
  expect(statuses).not.toHaveProperty('404');
}

async function moreCalls(load: Load, count: number): Promise<void> {
  const goal = load.ended.length + count;
  await waitFor(() => load.ended.length >= goal);
}

async function failures(load: Load, count: number): Promise<void> {
  const goal = load.ended.filter(({ failure }) => failure !== undefined).length + count;
  await waitFor(() => load.ended.filter(({ failure }) => failure !== undefined).length >= goal);
}

describe('a fleet on one Redis', () => {
  let redis: RedisServer;
  let scene: Scene;

  beforeAll(async () => {
    redis = await startRedis({ isPersistent: true });
    scene = await startScene(redis.url);
  });
  afterAll(async () => {
    await scene?.stop();
    await redis?.stop();
    printTally(scene);
  });

  test('killed: their calls are told so, the others go on', async () => {
    const outcome = await scene.underLoad('instances killed', async (load) => {
      for (const index of [0, 1]) {
        scene.fleet.instances[index]?.signal('SIGKILL');
        await moreCalls(load, 10);
        await scene.fleet.replace(index);
      }
    });
    expectSound(outcome, deathKinds);
    expectSessionsKept(outcome);
  });

  test('stopped one after the other, as in a deploy: what runs is answered', async () => {
    const outcome = await scene.underLoad('instances stopped', async () => {
      for (const index of scene.fleet.instances.keys()) {
        scene.fleet.instances[index]?.signal('SIGTERM');
        await scene.fleet.replace(index);
      }
    });
    expectSound(outcome, [gone, unansweredQuestion]);
    const { [gone]: refused = [], [unansweredQuestion]: unanswered = [] } = outcome.tally.failed;
    expect(refused.length + unanswered.length).toBeLessThanOrEqual(mostUnluckyCalls);
    // An answer that reached an instance is never lost.
    expect(unanswered.length).toBeLessThanOrEqual(outcome.undeliveredAnswers);
    // None of them ran: whoever is told so may call again.
    expect(outcome.tally.unanswered).toEqual([]);
    expectSessionsKept(outcome);
  });

  test('frozen until the others take it for dead, then thawed: nothing runs twice', async () => {
    const outcome = await scene.underLoad('instance frozen', async (load) => {
      const frozen = scene.fleet.instances[2];
      frozen?.signal('SIGSTOP');
      try {
        await waitFor(async () => (await countHeartbeats()) === 2);
      } finally {
        frozen?.signal('SIGCONT');
      }
      await moreCalls(load, 10);
    });
    expectSound(outcome, deathKinds);
    expectSessionsKept(outcome);
  });

  test('thawed, adds nothing to a call that its caller was told is lost', async () => {
    const [other, , frozen] = scene.fleet.instances;
    if (other === undefined || frozen === undefined) throw new Error('a fleet of three is needed');
    const { key } = scene.fleet;
    const session = await initialize(scene.fleet);
    const call = randomUUID();
    const params = {
      name: 'stream',
      arguments: { file: scene.file, call, to: 300, everyMs: 10 },
      _meta: { progressToken: 'steps' },
    };
    const cut = new AbortController();
    const message = { id: 1, method: 'tools/call', params };
    const reply = await postLegacy({ url: frozen.url, key }, session, message, cut.signal);
    const first = collectEvents(reply);
    await waitFor(() => first.events.length > 3);
    frozen.signal('SIGSTOP');
    let told: readonly WireEvent[];
    try {
      cut.abort();
      await first.ended;
      const frozenAt = performance.now();
      const lastEventId = first.events.at(-1)?.id ?? '';
      const resumed = collectEvents(await getStream({ url: other.url, key }, session, { lastEventId }));
      expect(await resumed.ended).toBe('closed');
      expect(performance.now() - frozenAt).toBeLessThan(failWithinMs);
      told = [...first.events, ...resumed.events];
    } finally {
      frozen.signal('SIGCONT');
    }
    expect(JSON.parse(told.at(-1)?.data ?? '')).toMatchObject({
      id: 1,
      error: { data: { reason: 'instance_lost' } },
    });
    // A later call of the same process has ended: it runs again.
    await callModern({ url: frozen.url, key }, 'record', { file: scene.file, call: randomUUID() });
    const lastEventId = told[0]?.id ?? '';
    const again = collectEvents(await getStream({ url: frozen.url, key }, session, { lastEventId }));
    expect(await again.ended).toBe('closed');
    const ids = toMessages(told).map(({ id }) => id);
    expect(toMessages(again.events).map(({ id }) => id)).toEqual(ids);
    const runs = readFileSync(scene.file, 'utf8').split('\n');
    expect(runs.filter((run) => run === call)).toHaveLength(1);
  });

  async function countHeartbeats(): Promise<number> {
    return ((await runCommand(redis.url, 'KEYS', 'mcp:instance:*')) as readonly string[]).length;
  }

  test('cuts every connection, again and again', async () => {
    const outcome = await scene.underLoad('Redis connections cut', async (load) => {
      for (let round = 0; round < 8; round += 1) {
        for (const type of ['normal', 'pubsub']) await runCommand(redis.url, 'CLIENT', 'KILL', 'TYPE', type);
        await moreCalls(load, 12);
      }
    });
    expectSound(outcome, unavailableKinds);
    expectSessionsKept(outcome);
  });

  test('pauses for a second: calls wait and succeed', async () => {
    const outcome = await scene.underLoad('Redis paused', async (load) => {
      await runCommand(redis.url, 'CLIENT', 'PAUSE', '1000', 'ALL');
      await moreCalls(load, 10);
    });
    expectSound(outcome, []);
    expectSessionsKept(outcome);
  });

  test('freezes until callers are told so: after that all goes on', async () => {
    const outcome = await scene.underLoad('Redis frozen', async (load) => {
      redis.pause();
      try {
        await failures(load, 5);
      } finally {
        redis.resume();
      }
    });
    expectSound(outcome, unavailableKinds);
    expectSessionsKept(outcome);
  });

  test('is killed and comes back with its data: no session is lost', async () => {
    const outcome = await scene.underLoad('Redis killed, data kept', async (load) => {
      await redis.kill();
      try {
        await failures(load, 5);
      } finally {
        await redis.restart();
      }
    });
    expectSound(outcome, unavailableKinds);
    expectSessionsKept(outcome);
  });

  test('is killed and comes back empty: sessions are unknown, new ones work', async () => {
    const outcome = await scene.underLoad(
      'Redis killed, data lost',
      async (load) => {
        await redis.kill();
        await redis.restart({ isDataLost: true });
        await waitFor(() => load.ended.some(({ failure }) => failure === 'HTTP 404'));
      },
      { isStartingOver: true },
    );
    expectSound(outcome, [...unavailableKinds, 'HTTP 404']);
    expect(outcome.statuses).not.toHaveProperty('401');
  });
});

describe('a fleet behind a Sentinel', () => {
  const servers: RedisServer[] = [];
  let scene: Scene;

  beforeAll(async () => {
    const master = await startRedis({ settings: [['repl-diskless-sync-delay', '0']] });
    const replica = await startRedis({ settings: [['replicaof', '127.0.0.1', String(master.port)]] });
    await waitFor(async () =>
      String(await runCommand(replica.url, 'INFO', 'replication')).includes('link_status:up'),
    );
    const sentinel = await startSentinel('main', master.port);
    servers.push(master, replica, sentinel);
    // It learns of the replica from the master.
    await waitFor(async () => (await listReplicas(sentinel.url)).length === 1);
    scene = await startScene(`redis+sentinel://127.0.0.1:${sentinel.port}/main`);
  });
  afterAll(async () => {
    await scene?.stop();
    for (const server of servers) await server.stop();
    printTally(scene);
  });

  test('goes on with its sessions when the master dies and its replica takes its place', async () => {
    const [master, replica] = servers as [RedisServer, RedisServer];
    const outcome = await scene.underLoad('master failed over by Sentinel', async () => {
      await killOnceCopied(master);
      await waitFor(async () => (await readRole(replica.url)) === 'master');
    });
    expectSound(outcome, unavailableKinds);
    expectSessionsKept(outcome);
  });

  async function listReplicas(url: string): Promise<readonly unknown[]> {
    return (await runCommand(url, 'SENTINEL', 'REPLICAS', 'main')) as readonly unknown[];
  }
});

describe('a fleet on a Cluster', () => {
  let cluster: RedisCluster;
  let scene: Scene;

  beforeAll(async () => {
    cluster = await startRedisCluster();
    scene = await startScene(cluster.url);
  });
  afterAll(async () => {
    await scene?.stop();
    await cluster?.stop();
    printTally(scene);
  });

  test('moves the slots of live sessions: no call fails', async () => {
    const outcome = await scene.underLoad('slots moved in a Cluster', async (load) => {
      for (const key of await listSessionKeys()) {
        const owner = await cluster.ownerOf(key);
        const other = cluster.nodes.slice(0, 3).find((node) => node !== owner);
        if (other !== undefined) await cluster.moveSlot(key, other);
      }
      await moreCalls(load, 10);
    });
    expectSound(outcome, []);
    expectSessionsKept(outcome);
  });

  test('loses a master whose replica takes its place: sessions go on', async () => {
    const [first, , , replica] = cluster.nodes;
    if (first === undefined || replica === undefined) throw new Error('a cluster of four is needed');
    const outcome = await scene.underLoad('master replaced in a Cluster', async () => {
      await killOnceCopied(first.server);
      await waitFor(async () => (await readRole(replica.server.url)) === 'master');
    });
    expectSound(outcome, unavailableKinds);
    expectSessionsKept(outcome);
  });

  async function listSessionKeys(): Promise<readonly string[]> {
    const found = await Promise.all(
      cluster.nodes.slice(0, 3).map(({ server }) => runCommand(server.url, 'KEYS', 'mcp:session:{*}')),
    );
    return found.flat() as string[];
  }
});

/**
 * Kills a master whose replica has everything: copies are made without waiting for them, so what a master took in its
 * last moment may be lost with it, whoever uses it.
 */
async function killOnceCopied(master: RedisServer): Promise<void> {
  const client = createClient({ url: master.url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.sendCommand(['CLIENT', 'PAUSE', '10000', 'WRITE']);
    expect(await client.wait(1, 5000)).toBe(1);
    await master.kill();
  } finally {
    client.destroy();
  }
}

/** `undefined` when it cannot tell: who is promoted cuts its connections. */
async function readRole(url: string): Promise<unknown> {
  const role = await runCommand(url, 'ROLE').catch(() => undefined);
  return Array.isArray(role) ? role[0] : undefined;
}

/** Runs one command on a server over a connection of its own, cut by none of the faults. */
async function runCommand(url: string, ...words: string[]): Promise<unknown> {
  const client = createClient({ url, disableOfflineQueue: true, socket: { reconnectStrategy: false } });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await client.sendCommand(words);
  } finally {
    client.destroy();
  }
}
