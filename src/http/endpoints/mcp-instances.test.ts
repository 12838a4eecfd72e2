/**
 * Two engines over one store, one event log and one bus: a session that was opened at one instance, used at the other.
 */
import { describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { UpstreamError } from '../../errors.ts';
import type { Engine } from '../../mcp/engine.ts';
import {
  createGate,
  createPrincipal,
  createSharedStores,
  createTestEngine,
  type Gate,
  settle,
  type TestEngineOptions,
  until,
} from '../../mcp/test-engine.contract.ts';
import { defineResource, defineTool } from '../../mcp/server-definition.ts';
import { type Json, TestClient, type TestSession } from './test-client.contract.ts';

const alice = createPrincipal('alice');

interface TwoInstances {
  readonly engines: readonly [Engine, Engine];
  /** The session, through the instance that opened it and through the other one. */
  readonly here: TestSession;
  readonly there: TestSession;
  readonly clients: readonly [TestClient, TestClient];
  /** What the handlers saw. */
  readonly seen: unknown[];
  /** Lets `wait` return. */
  readonly gate: Gate<string>;
}

async function createTwoInstances(limits: TestEngineOptions['limits'] = {}): Promise<TwoInstances> {
  const shared = createSharedStores();
  const seen: unknown[] = [];
  const gate = createGate<string>();
  const definition = {
    tools: [
      defineTool({
        name: 'ask',
        handler: async (_, context) => {
          const answer = await context.elicit('Name?', z.object({ name: z.string() }));
          return answer.action === 'accept' ? `Hello ${answer.content.name}` : answer.action;
        },
      }),
      defineTool({
        name: 'wait',
        handler: async (_, context) => {
          context.signal.addEventListener('abort', () => seen.push('aborted'));
          context.log('info', 'started');
          const word = await gate.passed;
          context.log('info', 'going on');
          return word;
        },
      }),
      defineTool({
        name: 'quiet',
        handler: (_, context) =>
          new Promise<string>((resolve) => {
            seen.push('running');
            context.signal.addEventListener('abort', () => {
              seen.push('aborted');
              resolve('too late');
            });
          }),
      }),
    ],
    resources: [defineResource({ name: 'r', uri: 'x://r', read: () => 'text' })],
  };
  const { engine: first } = await createTestEngine(definition, { shared, limits, instanceId: 'first' });
  const { engine: second } = await createTestEngine(definition, { shared, limits, instanceId: 'second' });
  const clients = [new TestClient(first, alice), new TestClient(second, alice)] as const;
  const here = await clients[0].initialize({ capabilities: { elicitation: {} } });
  return { engines: [first, second], clients, here, there: here.through(clients[1]), seen, gate };
}

const isQuestion = (message: Json): boolean => message.method === 'elicitation/create';
const isResult = (message: Json): boolean => message.result !== undefined;
const isListChange = (message: Json): boolean => message.method === 'notifications/tools/list_changed';
const listChanged = { kind: 'list_changed', list: 'tools', tenantId: undefined } as const;

describe('a session at another instance', () => {
  it('is the same session', async () => {
    const { there } = await createTwoInstances();
    expect((await there.request('ping')).json.result).toEqual({});
  });

  it('answers there what is asked here', async () => {
    const { here, there } = await createTwoInstances();
    const call = await here.request('tools/call', { name: 'ask' });
    const question = await call.message(isQuestion);
    const taken = await there.answer(question, { action: 'accept', content: { name: 'Ada' } });
    expect(taken.status).toBe(202);
    expect((await call.message(isResult)).result.content[0].text).toBe('Hello Ada');
    await call.untilEnded();
  });

  it('cancels there what runs here', async () => {
    const { here, there, seen } = await createTwoInstances();
    const call = here.request('tools/call', { name: 'quiet' }, 'call-1');
    await until(() => seen.includes('running'), 'the call runs');
    await there.notify('notifications/cancelled', { requestId: 'call-1' });
    expect((await call).json).toMatchObject({ id: 'call-1', error: { message: 'Request cancelled' } });
    expect(seen).toContain('aborted');
  });

  it('cannot be cancelled by another session with the same request id', async () => {
    const { here, clients, seen } = await createTwoInstances();
    const other = await clients[1].initialize();
    const call = here.request('tools/call', { name: 'quiet' }, 'call-1');
    await until(() => seen.includes('running'), 'the call runs');
    await other.notify('notifications/cancelled', { requestId: 'call-1' });
    await settle();
    expect(seen).not.toContain('aborted');
    await here.notify('notifications/cancelled', { requestId: 'call-1' });
    await call;
  });

  it('hears there what changed here, on its GET stream', async () => {
    const { engines, there } = await createTwoInstances();
    const stream = await there.listen();
    await engines[0].changes.publish(listChanged);
    await stream.message(isListChange);
  });

  it('hears of a resource that it subscribed to at the one instance while it listens at the other', async () => {
    const { engines, here, there } = await createTwoInstances();
    const stream = await there.listen();
    await here.request('resources/subscribe', { uri: 'x://r' });
    await engines[0].changes.publish({
      kind: 'resource_updated',
      uri: 'x://r',
      tenantId: alice.activeTenantId,
    });
    await stream.message((message) => message.method === 'notifications/resources/updated');
  });

  it('resumes there the stream of a call that runs here', async () => {
    const { here, there, gate } = await createTwoInstances();
    const call = await here.request('tools/call', { name: 'wait' });
    await call.message((message) => message.params?.data === 'started');
    call.leave();
    const resumed = await there.listen(call.lastEventId);
    gate.open('done');
    await resumed.untilEnded();
    expect(resumed.messages.map((message) => message.params?.data ?? message.result.content[0].text)).toEqual(
      ['going on', 'done'],
    );
  });

  it('resumes there its GET stream, without repeats and without loss', async () => {
    const { engines, here, there } = await createTwoInstances();
    const stream = await here.listen();
    await engines[1].changes.publish(listChanged);
    await stream.message(isListChange);
    stream.leave();
    await engines[1].changes.publish(listChanged);
    await settle();
    const resumed = await there.listen(stream.lastEventId);
    await resumed.message(isListChange);
    await engines[0].changes.publish(listChanged);
    await until(() => resumed.messages.length >= 2, 'the change after resuming');
    await settle();
    expect(resumed.messages.length).toBe(2);
  });

  it('with a connection at each gets every message once, and the one that stays gets the rest', async () => {
    const { engines, here, there } = await createTwoInstances();
    for (const uri of ['x://1', 'x://2', 'x://3']) await here.request('resources/subscribe', { uri });
    const updated = (uri: string): Promise<void> =>
      engines[0].changes.publish({ kind: 'resource_updated', uri, tenantId: alice.activeTenantId });
    const older = await here.listen();
    const newer = await there.listen();
    await settle();
    await updated('x://1');
    await until(() => newer.messages.length === 1, 'the message on the newest');
    newer.leave();
    await settle();
    await updated('x://2');
    await updated('x://3');
    await until(() => older.messages.length === 2, 'the rest');
    await settle();
    const uris = [newer, older].map(({ messages }) => messages.map(({ params }: Json) => params.uri));
    expect(uris).toEqual([['x://1'], ['x://2', 'x://3']]);
  });

  it('takes an answer for the other instance that is longer than the bus carries as one that cannot be taken', async () => {
    const { here, there } = await createTwoInstances();
    const call = await here.request('tools/call', { name: 'ask' });
    const question = await call.message(isQuestion);
    const content = { name: 'x'.repeat(1_100_000) };
    const refused = there.answer(question, { action: 'accept', content });
    await expect(refused).rejects.toMatchObject({ code: 'body_too_large' });
    await there.answer(question, { action: 'decline' });
    expect((await call.message(isResult)).result.content[0].text).toBe('decline');
  });

  it('takes an answer there though the shared stores are away when it comes, since it is not sent again', async () => {
    const { here, there, engines } = await createTwoInstances();
    const call = await here.request('tools/call', { name: 'ask' });
    const question = await call.message(isQuestion);
    const away = new UpstreamError('redis', 'away');
    vi.spyOn(engines[1].sessions, 'load').mockRejectedValueOnce(away);
    vi.spyOn(engines[1].bus, 'publish').mockRejectedValueOnce(away);
    await there.answer(question, { action: 'decline' });
    expect((await call.message(isResult)).result.content[0].text).toBe('decline');
  });

  it('that is deleted there ends its streams and calls here', async () => {
    const { here, there, seen, engines } = await createTwoInstances();
    const listening = await here.listen();
    const streaming = await here.request('tools/call', { name: 'wait' });
    const undecided = here.request('tools/call', { name: 'quiet' });
    await until(() => seen.includes('running'), 'the call runs');
    expect((await there.end()).status).toBe(204);
    expect((await undecided).json.error.message).toBe('Session terminated');
    await listening.untilEnded();
    await streaming.untilEnded();
    expect(seen.filter((word) => word === 'aborted').length).toBe(2);
    expect(engines[0].calls.count).toBe(0);
    await expect(here.request('ping')).rejects.toMatchObject({ code: 'session_unknown' });
  });

  it('that is evicted there ends its streams here', async () => {
    const shared = createSharedStores({ maxPerPrincipal: 1 });
    const { engine: first } = await createTestEngine({}, { shared, instanceId: 'first' });
    const { engine: second } = await createTestEngine({}, { shared, instanceId: 'second' });
    const session = await new TestClient(first, alice).initialize();
    const stream = await session.listen();
    await new TestClient(second, alice).initialize();
    await stream.untilEnded();
  });
});
