/** A session's GET streams. MCP 2025-11-25, Transports, Listening for Messages and Resumability. */
import { describe, expect, it } from 'vitest';
import type { ServerChange } from '../../mcp/dispatch-target.ts';
import type { EventLog } from '../../sessions/event-log.ts';
import { defineResource, defineTool } from '../../mcp/server-definition.ts';
import { standalone } from '../../mcp/session-listeners.ts';
import {
  createGate,
  createPrincipal,
  createSharedStores,
  createTestEngine,
  settle,
  type SharedStores,
  type TestEngine,
  type TestEngineOptions,
  until,
} from '../../mcp/test-engine.contract.ts';
import { type Json, type Received, TestClient } from './test-client.contract.ts';

const alice = createPrincipal('alice');
const bob = createPrincipal('bob');

const toolsChanged: ServerChange = { kind: 'list_changed', list: 'tools', tenantId: undefined };
const updated = (uri: string, tenantId: string | undefined = alice.activeTenantId): ServerChange => ({
  kind: 'resource_updated',
  uri,
  tenantId,
});

const definition = {
  tools: [defineTool({ name: 'noop', handler: () => 'done' })],
  resources: [
    defineResource({ name: 'a', uri: 'x://a', read: () => 'a' }),
    defineResource({ name: 'b', uri: 'x://b', read: () => 'b' }),
  ],
};

async function createServer(
  limits: TestEngineOptions['limits'] = {},
  shared: SharedStores = createSharedStores(),
): Promise<TestEngine & { client: TestClient; shared: SharedStores }> {
  const made = await createTestEngine(definition, { limits, shared });
  return { ...made, client: new TestClient(made.engine, alice), shared };
}

const methods = (stream: Received): string[] => stream.messages.map(({ method }: Json) => method);
const uris = (stream: Received): string[] => stream.messages.map(({ params }: Json) => params.uri);

describe('the standalone stream', () => {
  it('starts with an empty event that has an id and a retry time, where the revision can read one', async () => {
    const { client } = await createServer();
    const [primed] = (await (await client.initialize()).listen()).events;
    expect(primed).toMatchObject({ id: expect.any(String), retryMs: 1234, data: '' });
    for (const protocolVersion of ['2025-06-18', '2025-03-26']) {
      const session = await client.initialize({ protocolVersion });
      expect((await session.listen()).events).toEqual([]);
    }
  });

  it('carries list changes to everybody and updates to those that subscribed, in order', async () => {
    const { engine, client } = await createServer();
    const session = await client.initialize();
    const stream = await session.listen();
    await session.request('resources/subscribe', { uri: 'x://a' });
    await engine.changes.publish(updated('x://a'));
    await engine.changes.publish(updated('x://b'));
    await engine.changes.publish(toolsChanged);
    await until(() => stream.messages.length >= 2, 'both messages');
    await settle();
    expect(methods(stream)).toEqual(['notifications/resources/updated', 'notifications/tools/list_changed']);
    await session.request('resources/unsubscribe', { uri: 'x://a' });
    await engine.changes.publish(updated('x://a'));
    await engine.changes.publish(toolsChanged);
    await until(() => stream.messages.length >= 3, 'the list change');
    expect(methods(stream).slice(2)).toEqual(['notifications/tools/list_changed']);
  });

  it("never carries another tenant's changes", async () => {
    const { engine, client } = await createServer();
    const session = await client.initialize();
    await session.request('resources/subscribe', { uri: 'x://a' });
    const stream = await session.listen();
    await engine.changes.publish(updated('x://a', bob.activeTenantId));
    await engine.changes.publish({ ...toolsChanged, tenantId: bob.activeTenantId });
    await engine.changes.publish(updated('x://a'));
    await until(() => stream.messages.length > 0, 'our own change');
    await settle();
    expect(uris(stream)).toEqual(['x://a']);
  });

  it('collects what happens while its connection is lost, and gives it to the next one once', async () => {
    const { engine, client } = await createServer();
    const session = await client.initialize();
    await session.request('resources/subscribe', { uri: 'x://a' });
    const stream = await session.listen();
    stream.leave();
    await engine.changes.publish(updated('x://a'));
    await engine.changes.publish(toolsChanged);
    await settle();
    const resumed = await session.listen(stream.lastEventId);
    await until(() => resumed.messages.length >= 2, 'what was missed');
    expect(methods(resumed)).toEqual(['notifications/resources/updated', 'notifications/tools/list_changed']);
    resumed.leave();
    const again = await session.listen(resumed.lastEventId);
    await engine.changes.publish(toolsChanged);
    await until(() => again.messages.length >= 1, 'the new message');
    expect(again.messages.length).toBe(1);
  });

  it('says again where it goes on, so that a client that loses it before the next event can come back', async () => {
    const { client } = await createServer();
    const session = await client.initialize();
    const stream = await session.listen();
    stream.leave();
    const { events } = await session.listen(stream.lastEventId);
    expect(events).toEqual([{ id: stream.lastEventId, data: '', retryMs: 1234 }]);
  });

  it('is told what to look at again when its place in the log was lost', async () => {
    const { engine, client } = await createServer({}, createSharedStores({ maxEventsPerStream: 5 }));
    const session = await client.initialize();
    await session.request('resources/subscribe', { uri: 'x://a' });
    const stream = await session.listen();
    stream.leave();
    for (let count = 0; count < 20; count += 1) await engine.changes.publish(toolsChanged);
    await settle();
    const resumed = await session.listen(stream.lastEventId);
    await until(() => resumed.messages.length >= 3, 'everything that can be looked at again');
    expect(methods(resumed).toSorted()).toEqual([
      'notifications/resources/list_changed',
      'notifications/resources/updated',
      'notifications/tools/list_changed',
    ]);
    // And it goes on from there.
    await engine.changes.publish(updated('x://a'));
    await until(() => resumed.messages.length >= 4, 'the message after the gap');
    expect(resumed.isEnded).toBe(false);
  });

  it('ends for good, without a word in the log, when its session was ended and only the log tells', async () => {
    const { client, lines, shared } = await createServer();
    const session = await client.initialize();
    const stream = await session.listen();
    await shared.sessions.end(session.id);
    await shared.events.end(session.id);
    await shared.bus.publish(`session.${session.id}`, standalone);
    await stream.untilEnded();
    // The priming event and nothing since: no hint to come back to a session that is gone.
    expect(stream.events.length).toBe(1);
    expect(lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('refuses a Last-Event-ID that is no event id', async () => {
    const { client } = await createServer();
    const session = await client.initialize();
    await expect(session.listen('nonsense')).rejects.toMatchObject({ code: 'request_invalid' });
  });

  it('gives nothing of another session, whatever event id is named', async () => {
    const { engine, client } = await createServer();
    const theirs = await new TestClient(engine, bob).initialize();
    const stream = await theirs.listen();
    await engine.changes.publish({ ...toolsChanged, tenantId: bob.activeTenantId });
    await until(() => stream.messages.length === 1, 'their message');
    const primed = stream.events[0]?.id;
    stream.leave();
    const session = await client.initialize();
    const mine = await session.listen(primed);
    await settle();
    // A gap like any other: look at everything again, of one's own.
    expect(mine.messages.every(({ method }: Json) => method.endsWith('/list_changed'))).toBe(true);
  });
});

describe('two connections of one session', () => {
  it('get each message once, on the newest', async () => {
    const { engine, client } = await createServer();
    const session = await client.initialize();
    const older = await session.listen();
    const newer = await session.listen();
    await engine.changes.publish(toolsChanged);
    await until(() => newer.messages.length === 1, 'the message on the newest');
    await settle();
    expect(older.messages).toEqual([]);
  });

  it('hand over to the older one without repeats or loss when the newest leaves', async () => {
    const { engine, client } = await createServer();
    const session = await client.initialize();
    for (const uri of ['x://1', 'x://2', 'x://3']) await session.request('resources/subscribe', { uri });
    const older = await session.listen();
    const newer = await session.listen();
    await engine.changes.publish(updated('x://1'));
    await until(() => newer.messages.length === 1, 'the first message');
    newer.leave();
    await engine.changes.publish(updated('x://2'));
    await engine.changes.publish(updated('x://3'));
    await until(() => older.messages.length === 2, 'the others');
    await settle();
    expect(uris(newer)).toEqual(['x://1']);
    expect(uris(older)).toEqual(['x://2', 'x://3']);
  });

  it('lose nothing that was under way when the newest came', async () => {
    const { engine, client } = await createServer();
    const session = await client.initialize();
    const expected = Array.from({ length: 20 }, (_, index) => `x://${index}`);
    for (const uri of expected) await session.request('resources/subscribe', { uri });
    const streams = [await session.listen()];
    for (const uri of expected) {
      await engine.changes.publish(updated(uri));
      // Opened while the change is on its way.
      if (streams.length < 10) streams.push(await session.listen());
    }
    await until(() => streams.flatMap(uris).length >= expected.length, 'every message');
    await settle();
    expect(streams.flatMap(uris).toSorted()).toEqual(expected.toSorted());
  });

  it('lose nothing that was logged before the newest came and not yet written', async () => {
    const { client, shared } = await createServer();
    const session = await client.initialize();
    const older = await session.listen();
    await shared.events.append(session.id, 'g', JSON.stringify({ jsonrpc: '2.0', method: 'late' }));
    const newer = await session.listen();
    await until(() => newer.messages.length > 0, 'the message');
    await settle();
    expect([...methods(older), ...methods(newer)]).toEqual(['late']);
  });

  it('repeat nothing that the older was reading when the newest came', async () => {
    const shared = createSharedStores();
    const { events } = shared;
    const log = { ready: Promise.resolve() };
    const { engine, client } = await createServer(
      {},
      {
        ...shared,
        events: {
          append: events.append.bind(events),
          appendAll: events.appendAll.bind(events),
          end: events.end.bind(events),
          close: events.close.bind(events),
          read: async (...given) => {
            await log.ready;
            return events.read(...given);
          },
        },
      },
    );
    const session = await client.initialize();
    const older = await session.listen();
    await settle();
    const gate = createGate();
    log.ready = gate.passed;
    await engine.changes.publish(toolsChanged);
    await settle();
    const newer = await session.listen();
    gate.open();
    await until(() => newer.messages.length > 0, 'the message');
    await settle();
    expect([older.messages.length, newer.messages.length]).toEqual([0, 1]);
  });

  it('lose nothing that the newest did not take before it was cut', async () => {
    const { engine, client } = await createServer();
    const session = await client.initialize();
    const older = await session.listen();
    const newer = await session.listen();
    newer.isFull = true;
    await engine.changes.publish(toolsChanged);
    await settle();
    newer.leave();
    await until(() => older.messages.length > 0, 'the message');
    await settle();
    expect(methods(older)).toEqual(['notifications/tools/list_changed']);
  });

  it('do not disturb each other when the older leaves', async () => {
    const { engine, client } = await createServer();
    const session = await client.initialize();
    const older = await session.listen();
    const newer = await session.listen();
    older.leave();
    await engine.changes.publish(toolsChanged);
    await until(() => newer.messages.length === 1, 'the message');
    await settle();
    expect(newer.messages.length).toBe(1);
  });
});

describe('a GET stream ends', () => {
  it('without a word when its session is deleted', async () => {
    const { client } = await createServer();
    const session = await client.initialize();
    const stream = await session.listen();
    await session.end();
    await stream.untilEnded();
    expect(stream.events.length).toBe(1);
  });

  it('when its credential is revoked', async () => {
    const { engine, client } = await createServer();
    const stream = await (await client.initialize()).listen();
    engine.streams.endWhere('revoked', ({ principal }) => principal.credentialId === alice.credentialId);
    await stream.untilEnded();
    expect(engine.streams.count).toBe(0);
  });

  it('with a time to come back when the instance stops, and later ones are refused', async () => {
    const { engine, client } = await createServer();
    const session = await client.initialize();
    const stream = await session.listen();
    const old = await (await client.initialize({ protocolVersion: '2025-06-18' })).listen();
    await engine.stop(0);
    await stream.untilEnded();
    expect(stream.events.at(-1)).toEqual({ id: undefined, retryMs: 1234, data: undefined });
    // A revision that cannot poll gets no instruction that it could take for an event.
    await old.untilEnded();
    expect(old.events).toEqual([]);
    await expect(session.listen()).rejects.toMatchObject({ code: 'unavailable', status: 503 });
  });

  it('when its session is evicted by newer ones', async () => {
    const { client } = await createServer({}, createSharedStores({ maxPerPrincipal: 2 }));
    const first = await client.initialize();
    const stream = await first.listen();
    await client.initialize();
    await client.initialize();
    await stream.untilEnded();
    await expect(first.request('ping')).rejects.toMatchObject({ code: 'session_unknown' });
  });

  it('when its session expires; until then it keeps the session from idling away', async () => {
    let now = 1_000_000;
    const shared = createSharedStores({ now: () => now });
    const { engine } = await createTestEngine(definition, {
      shared,
      now: () => now,
      limits: { keepAliveMs: 5, lookMs: 5, sessionTtlMs: 3 * 3_600_000 },
    });
    const session = await new TestClient(engine, alice).initialize();
    const stream = await session.listen();
    for (let step = 0; step < 4; step += 1) {
      // The store's idle time is an hour.
      now += 40 * 60_000;
      const { length } = stream.chunks;
      await until(() => stream.chunks.length >= length + 2, 'keep-alives');
      expect(stream.isEnded).toBe(false);
    }
    now += 40 * 60_000;
    await stream.untilEnded();
  });
});

describe('streams of one principal', () => {
  it('are limited; a refused one takes no place and leaves nothing behind', async () => {
    const { engine, client, shared } = await createServer({ maxStreamsPerPrincipal: 2 });
    const first = await (await client.initialize()).listen();
    await (await client.initialize()).listen();
    const third = await client.initialize();
    await expect(third.listen()).rejects.toMatchObject({
      code: 'too_many_streams',
      headers: { 'Retry-After': '5' },
    });
    // Nothing is collected for a stream that never was.
    const primed = await shared.events.append(third.id, 'g', '');
    await engine.changes.publish(toolsChanged);
    await until(() => first.messages.length === 1, 'the change');
    expect(await shared.events.read(third.id, primed ?? '', 10)).toMatchObject({ events: [] });
    // Others have their own share, and a place that is given back can be taken.
    await (await new TestClient(engine, bob).initialize()).listen();
    first.leave();
    expect((await third.listen()).status).toBe(200);
  });

  it('give back the place of a client that left before its reply began', async () => {
    const { engine, client } = await createServer({ maxStreamsPerPrincipal: 1 });
    const session = await client.initialize();
    await session.listen(undefined, { leavesBeforeReply: true });
    await session.listen('x_1', { leavesBeforeReply: true });
    expect(engine.streams.count).toBe(0);
    expect((await session.listen()).status).toBe(200);
  });
});

describe("a call's stream", () => {
  const createCalls = async (
    shared: SharedStores = createSharedStores(),
  ): Promise<{
    client: TestClient;
    testEngine: TestEngine;
    gate: ReturnType<typeof createGate<string>>;
  }> => {
    const gate = createGate<string>();
    const tools = [
      defineTool({
        name: 'wait',
        handler: async (_, context) => {
          context.log('info', 'one');
          const word = await gate.passed;
          context.log('info', 'two');
          return word;
        },
      }),
      defineTool({
        name: 'release',
        handler: async (_, context) => {
          context.releaseConnection(50);
          return gate.passed;
        },
      }),
    ];
    const testEngine = await createTestEngine({ tools }, { shared });
    return { client: new TestClient(testEngine.engine, alice), testEngine, gate };
  };
  const said = (stream: Received): string[] =>
    stream.messages.map(({ params, result }: Json) => params?.data ?? result.content[0].text);

  it('is primed, numbered and ends with the response', async () => {
    const { client, gate } = await createCalls();
    const call = await (await client.initialize()).request('tools/call', { name: 'wait' });
    gate.open('done');
    await call.untilEnded();
    expect(call.events[0]).toMatchObject({ retryMs: 1234, data: '' });
    expect(said(call)).toEqual(['one', 'two', 'done']);
    expect(new Set(call.events.map(({ id }) => id)).size).toBe(call.events.length);
  });

  it('is not primed for revisions that cannot read an empty event', async () => {
    const { client, gate } = await createCalls();
    const session = await client.initialize({ protocolVersion: '2025-06-18' });
    const call = await session.request('tools/call', { name: 'wait' });
    gate.open('done');
    await call.untilEnded();
    expect(call.events.every(({ data, retryMs }) => data !== '' && retryMs === undefined)).toBe(true);
  });

  it('can be resumed after every one of its events, during the call and after it', async () => {
    const { client, gate } = await createCalls();
    const session = await client.initialize();
    const call = await session.request('tools/call', { name: 'wait' });
    await until(() => said(call).includes('one'), 'the first message');
    const early = await session.listen(call.events[0]?.id);
    gate.open('done');
    await early.untilEnded();
    expect(said(early)).toEqual(['one', 'two', 'done']);
    await call.untilEnded();
    for (const [index, { id }] of call.events.entries()) {
      const late = await (await session.listen(id)).untilEnded();
      expect(said(late)).toEqual(['one', 'two', 'done'].slice(index));
    }
  });

  it('says again where it goes on, so that a client that loses it before the next event can come back', async () => {
    const { client, gate } = await createCalls();
    const session = await client.initialize();
    const call = await session.request('tools/call', { name: 'wait' });
    await until(() => said(call).includes('one'), 'the first message');
    call.leave();
    const resumed = await session.listen(call.lastEventId);
    expect(resumed.events).toEqual([{ id: call.lastEventId, data: '', retryMs: 1234 }]);
    gate.open('done');
    await resumed.untilEnded();
    expect(said(resumed)).toEqual(['two', 'done']);
  });

  it('has no head before the id that a client needs to come back', async () => {
    const shared = createSharedStores();
    const log = createGate();
    const events: EventLog = {
      append: shared.events.append.bind(shared.events),
      appendAll: async (...given) => {
        await log.passed;
        return shared.events.appendAll(...given);
      },
      read: shared.events.read.bind(shared.events),
      end: shared.events.end.bind(shared.events),
      close: shared.events.close.bind(shared.events),
    };
    const { client, gate } = await createCalls({ ...shared, events });
    const session = await client.initialize();
    let call: Received | undefined;
    const answered = session.request('tools/call', { name: 'wait' }).then((reply) => (call = reply));
    await settle();
    expect(call).toBeUndefined();
    log.open();
    expect((await answered).events[0]).toMatchObject({ retryMs: 1234, data: '' });
    gate.open('done');
    await call?.untilEnded();
  });

  it('is resumed by nobody but its own session', async () => {
    const { client, testEngine, gate } = await createCalls();
    const call = await (await client.initialize()).request('tools/call', { name: 'wait' });
    gate.open('secret');
    await call.untilEnded();
    const other = await new TestClient(testEngine.engine, bob).initialize();
    const stolen = await (await other.listen(call.events[0]?.id)).untilEnded();
    expect(stolen.messages).toEqual([]);
  });

  it('is let go with a time to come back, and then holds the result', async () => {
    const { client, gate } = await createCalls();
    const session = await client.initialize();
    const call = await session.request('tools/call', { name: 'release' });
    await call.untilEnded();
    expect(call.events.at(-1)).toMatchObject({ id: undefined, retryMs: 50 });
    const resumed = await session.listen(call.lastEventId);
    gate.open('done');
    await resumed.untilEnded();
    expect(said(resumed)).toEqual(['done']);
  });

  it('is not let go where it could not be resumed', async () => {
    const { client, gate } = await createCalls();
    const session = await client.initialize({ protocolVersion: '2025-06-18' });
    const call = await session.request('tools/call', { name: 'release' });
    await settle();
    expect(call.isEnded).toBe(false);
    gate.open('done');
    await call.untilEnded();
    expect(said(call)).toEqual(['done']);
  });

  it('goes on without its client: a lost connection is no cancellation', async () => {
    const { client, gate } = await createCalls();
    const session = await client.initialize();
    const call = await session.request('tools/call', { name: 'wait' });
    await until(() => said(call).includes('one'), 'the first message');
    call.leave();
    gate.open('done');
    const resumed = await (await session.listen(call.lastEventId)).untilEnded();
    expect(said(resumed)).toEqual(['two', 'done']);
  });

  it('does not count among the streams once it has ended', async () => {
    const { client, testEngine, gate } = await createCalls();
    const call = await (await client.initialize()).request('tools/call', { name: 'wait' });
    expect(testEngine.engine.streams.count).toBe(1);
    gate.open('done');
    await call.untilEnded();
    expect(testEngine.engine.streams.count).toBe(0);
  });

  it('keeps its instance from leaving before the answer is stored: others would take it for lost', async () => {
    const shared = createSharedStores();
    const log = createGate();
    const events: EventLog = {
      append: shared.events.append.bind(shared.events),
      appendAll: async (...given) => {
        if (given[3]?.isTerminal === true) await log.passed;
        return shared.events.appendAll(...given);
      },
      read: shared.events.read.bind(shared.events),
      end: shared.events.end.bind(shared.events),
      close: shared.events.close.bind(shared.events),
    };
    const { client, testEngine, gate } = await createCalls({ ...shared, events });
    const call = await (await client.initialize()).request('tools/call', { name: 'wait' });
    await until(() => said(call).includes('one'), 'the first message');
    call.leave();
    gate.open('done');
    await settle();
    let isStopped = false;
    const stopped = testEngine.engine.stop(60_000).then(() => (isStopped = true));
    await settle();
    expect(isStopped).toBe(false);
    log.open();
    await stopped;
  });

  it('goes on when the instance stops, until the call is done', async () => {
    const { client, testEngine, gate } = await createCalls();
    const call = await (await client.initialize()).request('tools/call', { name: 'wait' });
    await until(() => said(call).includes('one'), 'the first message');
    const stopped = testEngine.engine.stop(5000);
    await settle();
    expect(call.isEnded).toBe(false);
    gate.open('done');
    await stopped;
    await call.untilEnded();
    expect(said(call)).toEqual(['one', 'two', 'done']);
  });
});
