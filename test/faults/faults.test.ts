/**
 * What callers of a fleet see while its instances and its Redis fail under them. In every test: no tool runs twice for
 * one call, no call succeeds without having run, events arrive once and in order, and what fails says so in time.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
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
import type { Load } from './load.ts';
import { failWithinMs, type Outcome, recoverWithinMs, type Scene, startScene, waitFor } from './scene.ts';

/** What the ledger's tool says when the answer to its question met the fault. */
const unansweredQuestion = 'The client did not answer within 5000 ms';
/** What a caller is told by the balancer when an instance is gone. */
const gone = 'HTTP 502';
/** What a caller is told whose instance died under its call. */
const deathKinds = [gone, 'connection lost', 'instance_lost', unansweredQuestion];
/** What a caller is told while Redis is away. */
const unavailableKinds = ['HTTP 503', unansweredQuestion];
let scene: Scene;

beforeAll(async () => {
  scene = await startScene();
});
afterAll(async () => {
  await scene?.stop();
  process.stdout.write(`\n${scene?.lines.join('\n')}\n\n`);
});

/** What holds whatever happens. @param failures the ways in which calls may fail */
function expectSound({ tally, recoveredInMs }: Outcome, failures: readonly string[]): void {
  expect(tally.twice).toEqual([]);
  expect(tally.unexecuted).toEqual([]);
  expect(tally.disordered).toEqual([]);
  const unexpected = Object.entries(tally.failed).filter(([kind]) => !failures.includes(kind));
  expect(Object.fromEntries(unexpected)).toEqual({});
  expect(tally.slowestFailureMs).toBeLessThan(failWithinMs);
  expect(recoveredInMs).toBeLessThan(recoverWithinMs);
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

describe('instances', () => {
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
    expectSound(outcome, []);
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
    return ((await scene.command('KEYS', 'mcp:instance:*')) as readonly string[]).length;
  }
});

describe('Redis', () => {
  test('cuts every connection, again and again', async () => {
    const outcome = await scene.underLoad('Redis connections cut', async (load) => {
      for (let round = 0; round < 8; round += 1) {
        for (const type of ['normal', 'pubsub']) await scene.command('CLIENT', 'KILL', 'TYPE', type);
        await moreCalls(load, 12);
      }
    });
    expectSound(outcome, unavailableKinds);
    expectSessionsKept(outcome);
  });

  test('pauses for a second: calls wait and succeed', async () => {
    const outcome = await scene.underLoad('Redis paused', async (load) => {
      await scene.command('CLIENT', 'PAUSE', '1000', 'ALL');
      await moreCalls(load, 10);
    });
    expectSound(outcome, []);
    expectSessionsKept(outcome);
  });

  test('freezes until callers are told so: after that all goes on', async () => {
    const outcome = await scene.underLoad('Redis frozen', async (load) => {
      scene.redis.pause();
      try {
        await failures(load, 5);
      } finally {
        scene.redis.resume();
      }
    });
    expectSound(outcome, unavailableKinds);
    expectSessionsKept(outcome);
  });

  test('is killed and comes back with its data: no session is lost', async () => {
    const outcome = await scene.underLoad('Redis killed, data kept', async (load) => {
      await scene.redis.kill();
      try {
        await failures(load, 5);
      } finally {
        await scene.redis.restart();
      }
    });
    expectSound(outcome, unavailableKinds);
    expectSessionsKept(outcome);
  });

  test('is killed and comes back empty: sessions are unknown, new ones work', async () => {
    const outcome = await scene.underLoad(
      'Redis killed, data lost',
      async (load) => {
        await scene.redis.kill();
        await scene.redis.restart({ isDataLost: true });
        await waitFor(() => load.ended.some(({ failure }) => failure === 'HTTP 404'));
      },
      { isStartingOver: true },
    );
    expectSound(outcome, [...unavailableKinds, 'HTTP 404']);
    expect(outcome.statuses).not.toHaveProperty('401');
  });

  async function failures(load: Load, count: number): Promise<void> {
    const goal = load.ended.filter(({ failure }) => failure !== undefined).length + count;
    await waitFor(() => load.ended.filter(({ failure }) => failure !== undefined).length >= goal);
  }
});
