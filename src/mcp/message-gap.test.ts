/** What an instance does when the bus says that it may not have been told of everything. */
import { expect, test } from 'vitest';
import type { MessageBus } from '../sessions/message-bus.ts';
import type { SessionRecord } from '../sessions/session-store.ts';
import { toPrincipalKey } from '../auth/principal.ts';
import type { EventSink } from './call-reply.ts';
import { createSessionStreams } from './session-streams.ts';
import {
  createPrincipal,
  createSharedStores,
  createTestEngine,
  settle,
  until,
} from './test-engine.contract.ts';

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

/** A GET stream on an engine whose bus loses what others send. */
async function openStream() {
  const stores = createSharedStores();
  const gapListeners = new Set<() => void>();
  const deaf: MessageBus = {
    publish: async () => undefined,
    subscribe: (topic, listener) => stores.bus.subscribe(topic, listener),
    onGap: (listener) => {
      gapListeners.add(listener);
      return () => gapListeners.delete(listener);
    },
    check: async () => undefined,
    close: () => stores.bus.close(),
  };
  const { engine } = await createTestEngine({}, { shared: { ...stores, bus: deaf } });
  const streams = createSessionStreams(engine);
  await stores.sessions.create(session);
  const written: string[] = [];
  const sink: EventSink & { isOpen: boolean } = {
    isOpen: true,
    send: ({ data }) => written.push(data) > 0,
    keepAlive: () => {},
    end: () => {
      sink.isOpen = false;
    },
    onClose: () => {},
  };
  (await streams.open(session, principal, undefined)).attach(sink);
  await settle();
  written.length = 0;
  const tellGap = (): void => {
    for (const listener of gapListeners) listener();
  };
  return { stores, engine, streams, sink, written, tellGap, gapListeners };
}

test('it reads at once what came to the streams that are open, without waiting for the next keep-alive', async () => {
  const { stores, written, tellGap } = await openStream();
  await stores.events.append(session.id, 'g', 'missed');
  await settle();
  expect(written).toEqual([]);
  tellGap();
  await until(() => written.includes('missed'), 'the event');
});

test('it ends the streams of a session that ended meanwhile', async () => {
  const { stores, sink, tellGap } = await openStream();
  await stores.sessions.end(session.id);
  await settle();
  expect(sink.isOpen).toBe(true);
  tellGap();
  await until(() => !sink.isOpen, 'the end of the stream');
});

test('it learns what the session subscribed to meanwhile', async () => {
  const { stores, engine, written, tellGap } = await openStream();
  const uri = 'notes://1';
  await stores.sessions.update(session.id, () => ({ subscriptions: [uri] }));
  tellGap();
  await settle();
  await stores.bus.publish('changes', JSON.stringify({ kind: 'resource_updated', uri }));
  await settle();
  // Word of the event is lost, too.
  tellGap();
  await until(() => written.some((text) => text.includes(uri)), 'the change');
  expect(engine.streams.count).toBe(1);
});

test('it hears nothing of gaps once it has stopped', async () => {
  const { engine, streams, gapListeners } = await openStream();
  streams.close();
  await engine.stop(0);
  expect(gapListeners.size).toBe(0);
});
