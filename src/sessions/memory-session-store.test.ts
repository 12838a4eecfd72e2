import { describe, expect, it } from 'vitest';
import { createMemorySessionStore } from './memory-session-store.ts';
import { describeSessionStore } from './session-store.contract.ts';
import type { SessionRecord } from './session-store.ts';

describeSessionStore('a memory session store', async (limits) => [createMemorySessionStore(limits)]);

function toRecord(id: string, now: number): SessionRecord {
  return {
    id,
    principalKey: `key:${id}@acme`,
    tenantId: 'acme',
    credentialId: 'key_1',
    protocolVersion: '2025-11-25',
    clientInfo: { name: 'client', version: '1.0.0' },
    clientCapabilities: {},
    subscriptions: [],
    createdAt: now,
    expiresAt: now + 1_000_000,
  };
}

describe('a memory session store', () => {
  it('ends the longest-idle session of all when there are too many, and tells only of living ones', async () => {
    let time = 0;
    const store = createMemorySessionStore({
      idleTtlMs: 100,
      maxPerPrincipal: 9,
      maxSessions: 2,
      now: () => time,
    });
    await store.create(toRecord('a', time));
    await store.create(toRecord('b', time));
    await store.load('a');
    expect(await store.create(toRecord('c', time))).toEqual(['b']);
    expect(await store.load('a')).toBeDefined();
    expect(await store.load('b')).toBeUndefined();
    time = 100;
    expect(await store.create(toRecord('d', time))).toEqual([]);
  });

  it('does not tell of expired sessions as evicted where more of them wait than it clears away at once', async () => {
    let time = 0;
    const store = createMemorySessionStore({ idleTtlMs: 100, maxPerPrincipal: 3, now: () => time });
    for (let index = 0; index < 9; index += 1) await store.create(toRecord(`other${index}`, time));
    for (const id of ['a', 'b', 'c'])
      await store.create({ ...toRecord(id, time), principalKey: 'key:alice@acme' });
    time = 100;
    expect(await store.create({ ...toRecord('d', time), principalKey: 'key:alice@acme' })).toEqual([]);
  });
});
