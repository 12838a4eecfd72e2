/** What an instance does when the bus says that it may not have been told of everything. */
import { expect, onTestFinished, test, vi } from 'vitest';
import type { MessageBus } from '../sessions/message-bus.ts';
import type { SessionRecord } from '../sessions/session-store.ts';
import { toPrincipalKey } from '../auth/principal.ts';
import type { EventSink } from './call-reply.ts';
import { openListen } from './listen.ts';
import { defineResource, defineTool, type ServerDefinitionInput } from './server-definition.ts';
import { createSessionStreams } from './session-streams.ts';
import {
  createPrincipal,
  createSharedStores,
  createTestEngine,
  settle,
  until,
} from './test-engine.contract.ts';

const toMethod = (text: string): string | undefined => /"notifications\/([^"]+)"/.exec(text)?.[1];
const principal = createPrincipal('reader');
const session: SessionRecord = {
  id: 'a-session',
  principalKey: toPrincipalKey(principal),
  tenantId: principal.activeTenantId,
  credentialId: principal.credentialId,
  protocolVersion: '2025-11-25',
  clientInfo: { name: 'test', version: '1' },
  clientCapabilities: {},
  subscriptions: [],
  createdAt: 0,
  expiresAt: Number.MAX_SAFE_INTEGER,
};

/** A server that tells of its tools and resources. */
const definition: Partial<ServerDefinitionInput> = {
  tools: [defineTool({ name: 'noop', handler: () => 'done' })],
  resources: [defineResource({ name: 'note', uri: 'notes://1', read: () => 'a note' })],
};

/** An engine whose bus loses what others send, and tells of gaps when asked to. */
async function createDeafEngine() {
  const stores = createSharedStores();
  const gapListeners = new Set<() => void>();
  let isDeaf = true;
  const deaf: MessageBus = {
    publish: async (topic, message) => {
      if (!isDeaf) await stores.bus.publish(topic, message);
    },
    subscribe: (topic, listener) => stores.bus.subscribe(topic, listener),
    onGap: (listener) => {
      gapListeners.add(listener);
      return () => gapListeners.delete(listener);
    },
    check: async () => undefined,
    close: () => stores.bus.close(),
  };
  const { engine } = await createTestEngine(definition, { shared: { ...stores, bus: deaf } });
  const tellGap = (): void => {
    isDeaf = false;
    for (const listener of gapListeners) listener();
  };
  return { stores, engine, tellGap, gapListeners };
}

/** A GET stream on such an engine. */
async function openStream() {
  const { stores, engine, tellGap, gapListeners } = await createDeafEngine();
  const streams = createSessionStreams(engine);
  await stores.sessions.create(session);
  const written: string[] = [];
  let place = '';
  const sink: EventSink & { isOpen: boolean } = {
    isOpen: true,
    send: ({ data, id }) => {
      place ||= id ?? '';
      return written.push(data) > 0;
    },
    keepAlive: () => {},
    end: () => {
      sink.isOpen = false;
    },
    onClose: () => {},
  };
  (await streams.open(session, principal, undefined)).attach(sink);
  await settle();
  written.length = 0;
  return { stores, engine, streams, sink, written, place, tellGap, gapListeners };
}

test('it reads at once what came to the streams that are open, without waiting for the next keep-alive', async () => {
  const { stores, written, tellGap } = await openStream();
  await stores.events.append(session.id, 'g', 'missed');
  await settle();
  expect(written).toEqual([]);
  tellGap();
  await until(() => written.includes('missed'), 'the event');
});

/** A client that comes back with the place where an instance that is no more left it. */
async function resumeElsewhere(previous: 'gone' | 'there') {
  const stores = createSharedStores();
  await stores.sessions.create({ ...session, subscriptions: ['notes://1'] });
  const place = (await stores.events.append(session.id, 'g', '')) ?? '';
  if (previous === 'there')
    await stores.bus.subscribe(`session.${session.id}`, (message) => {
      if (message === 'collects test') void stores.bus.publish(`session.${session.id}`, 'yielded to test');
    });
  const { engine } = await createTestEngine(definition, { shared: stores });
  const written: string[] = [];
  const sink: EventSink = {
    isOpen: true,
    send: ({ data }) => (data === '' ? true : written.push(data) > 0),
    keepAlive: () => {},
    end: () => {},
    onClose: () => {},
  };
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  (await createSessionStreams(engine).open(session, principal, place)).attach(sink);
  await vi.advanceTimersByTimeAsync(5000);
  return written;
}

test('it tells a client that comes back everything, when nobody says that they collected for it', async () => {
  expect((await resumeElsewhere('gone')).map(toMethod)).toEqual([
    'tools/list_changed',
    'resources/list_changed',
    'resources/updated',
  ]);
});

test('it tells a client that comes back nothing new, when who collected for it says so', async () => {
  expect(await resumeElsewhere('there')).toEqual([]);
});

test('it ends the streams of a session that ended meanwhile', async () => {
  const { stores, sink, tellGap } = await openStream();
  await stores.sessions.end(session.id);
  await settle();
  expect(sink.isOpen).toBe(true);
  tellGap();
  await until(() => !sink.isOpen, 'the end of the stream');
});

test('it tells a session of every list, and of what it subscribes to by then, once, and as events of its log', async () => {
  const { stores, written, place, tellGap } = await openStream();
  await stores.sessions.update(session.id, () => ({ subscriptions: ['notes://1'] }));
  tellGap();
  tellGap();
  const told = ['tools/list_changed', 'resources/list_changed', 'resources/updated'];
  await until(() => written.length === told.length, 'all changes');
  await settle();
  expect(written.map(toMethod)).toEqual(told);
  expect(written[2]).toContain('notes://1');
  const slice = await stores.events.read(session.id, place, 100);
  expect(slice).toMatchObject({ kind: 'events', events: written.map((data) => ({ data })) });
});

test('it leaves to another instance what that one collects, but learns what the session subscribes to', async () => {
  const { stores, engine, written, place, tellGap } = await openStream();
  await stores.bus.publish(`session.${session.id}`, 'collects another');
  await settle();
  await stores.sessions.update(session.id, () => ({ subscriptions: ['notes://1'] }));
  tellGap();
  await settle();
  await stores.bus.publish(`session.${session.id}`, `left ${place}`);
  await engine.changes.publish({ kind: 'resource_updated', uri: 'notes://1', tenantId: undefined });
  await until(() => written.length > 0, 'the change');
  await settle();
  expect(written.map(toMethod)).toEqual(['resources/updated']);
});

test('it tells a session as soon as its store can be asked, if it cannot at once', async () => {
  const { stores, written, tellGap } = await openStream();
  const load = vi.spyOn(stores.sessions, 'load').mockRejectedValue(new Error('away'));
  onTestFinished(() => load.mockRestore());
  tellGap();
  await until(() => load.mock.calls.length > 0, 'the attempt');
  await settle();
  expect(written).toEqual([]);
  load.mockRestore();
  await until(() => written.length === 2, 'both lists');
});

test('it tells a subscription of every list and resource of its filter', async () => {
  const { engine, tellGap } = await createDeafEngine();
  const written: string[] = [];
  const stream = {
    write: (text: string) => void written.push(text),
    finish: () => undefined,
    keepAlive: () => {},
  };
  const filter = { toolsListChanged: true, resourceSubscriptions: ['notes://1', 'notes://2'] } as const;
  const request = { jsonrpc: '2.0', id: 7, method: 'subscriptions/listen' } as const;
  const end = openListen(engine, request, filter, { principal, stream });
  written.length = 0;
  tellGap();
  await until(() => written.length === 3, 'all changes');
  await settle();
  expect(written.map(toMethod)).toEqual(['tools/list_changed', 'resources/updated', 'resources/updated']);
  expect(written.every((text) => text.includes('"io.modelcontextprotocol/subscriptionId":7'))).toBe(true);
  expect(written.slice(1).map((text) => /notes:..\d/.exec(text)?.[0])).toEqual(['notes://1', 'notes://2']);
  end();
  tellGap();
  await settle();
  expect(written).toHaveLength(3);
});

test('it tells thousands of streams a few at a time, each once', async () => {
  const { engine, tellGap } = await createDeafEngine();
  const told = Array.from({ length: 300 }, () => 0);
  let atOnce = 0;
  let most = 0;
  for (const index of told.keys()) {
    engine.changes.onLost(async () => {
      told[index] = (told[index] ?? 0) + 1;
      atOnce += 1;
      most = Math.max(most, atOnce);
      setImmediate(() => (atOnce -= 1));
    });
  }
  tellGap();
  tellGap();
  await until(() => !told.includes(0), 'the last stream');
  // The first few had begun when the second gap came.
  expect(told.filter((times) => times > 1).length).toBeLessThan(told.length / 10);
  expect(Math.max(...told)).toBeLessThanOrEqual(2);
  expect(most).toBeLessThan(told.length / 10);
});

test('it hears nothing of gaps once it has stopped', async () => {
  const { engine, streams, gapListeners } = await openStream();
  streams.close();
  await engine.stop(0);
  expect(gapListeners.size).toBe(0);
});
