import { setImmediate } from 'node:timers/promises';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { createMemoryMessageBus } from '../../sessions/memory-message-bus.ts';
import { UpstreamError } from '../../errors.ts';
import type { RevocationKind } from './revocation-store.ts';
import type { Revocable } from './revocations.ts';
import { SharedRevocations, type SharedRevocationsOptions } from './shared-revocations.ts';
import { MemoryRevocationStore } from './memory-revocation-store.ts';

/** Several watchers of one of these are several instances: changes are not told, they have to look. */
class TestRevocationStore extends MemoryRevocationStore {
  isDown = false;
  looks = 0;

  override loadRevision(): Promise<number> {
    this.looks += 1;
    return this.isDown ? Promise.reject(new UpstreamError('database', 'down')) : super.loadRevision();
  }

  override onChange(): () => void {
    return () => undefined;
  }
}

const open: SharedRevocations[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

function createRevocations(options: SharedRevocationsOptions): SharedRevocations {
  const revocations = new SharedRevocations(options);
  open.push(revocations);
  return revocations;
}

const bearer: Revocable = {
  subject: 'user-1',
  activeTenantId: 'acme',
  token: {
    issuer: 'https://id.example',
    issuedAt: 1000,
    tokenId: 'token-1',
    sessionId: 'session-1',
    grantId: 'grant-1',
    clientId: 'client-1',
  },
};

test.each<[RevocationKind, string]>([
  ['token', 'token-1'],
  ['session', 'session-1'],
  ['grant', 'grant-1'],
  ['user', 'user-1'],
  ['client', 'client-1'],
  ['tenant', 'acme'],
])('a token is refused once its %s is revoked, and another is not', async (kind, name) => {
  const revocations = createRevocations({ store: new TestRevocationStore() });
  expect(await revocations.isRevoked(bearer)).toBe(false);
  await revocations.revoke(kind, `${name}-other`);
  expect(await revocations.isRevoked(bearer)).toBe(false);
  await revocations.revoke(kind, name);
  expect(await revocations.isRevoked(bearer)).toBe(true);
});

test('who signs in anew after a revocation of the user gets in, with a token of that sign-in', async () => {
  const revocations = createRevocations({ store: new TestRevocationStore() });
  await revocations.revoke('user', 'user-1', { revokedAt: 5000, expiresAt: Date.now() + 60_000 });
  await revocations.revoke('session', 'session-1', { revokedAt: 5000, expiresAt: Date.now() + 60_000 });
  const later = {
    ...bearer,
    token: { issuer: 'https://id.example', issuedAt: 5001, sessionId: 'session-2' },
  };
  expect(await revocations.isRevoked(later)).toBe(false);
  const ofEnded = { ...later, token: { ...later.token, sessionId: 'session-1' } };
  expect(await revocations.isRevoked(ofEnded)).toBe(true);
});

test('an instance that starts knows the revocations that were there before it', async () => {
  const store = new TestRevocationStore();
  await createRevocations({ store }).revoke('user', 'user-1');
  expect(await createRevocations({ store }).isRevoked(bearer)).toBe(true);
});

test('another instance refuses when the staleness bound has passed, without being told', async () => {
  let now = Date.now();
  const store = new TestRevocationStore();
  const here = createRevocations({ store, now: () => now, maxStalenessMs: 700 });
  expect(await here.isRevoked(bearer)).toBe(false);
  await createRevocations({ store, now: () => now }).revoke('token', 'token-1');
  now += 701;
  expect(await here.isRevoked(bearer)).toBe(true);
});

test('the message bus tells another instance, and its listeners, before it looks', async () => {
  const bus = createMemoryMessageBus({ onError: () => undefined });
  const now = Date.now();
  const store = new TestRevocationStore();
  const here = createRevocations({ store, bus, now: () => now, maxStalenessMs: 3_600_000 });
  expect(await here.isRevoked(bearer)).toBe(false);
  const ended: boolean[] = [];
  here.onRevoked((_, concerns) => ended.push(concerns(bearer)));
  await createRevocations({ store, bus, now: () => now }).revoke('grant', 'grant-1');
  await vi.waitFor(() => expect(ended).toEqual([true]), { timeout: 10_000 });
  expect(here.isRevoked(bearer)).toBe(true);
  await bus.close();
});

test('in strict mode every request waits for a look that began after it', async () => {
  const store = new TestRevocationStore();
  const here = createRevocations({ store, isStrict: true });
  expect(await here.isRevoked(bearer)).toBe(false);
  await createRevocations({ store }).revoke('token', 'token-1');
  const looks = store.looks;
  expect(await here.isRevoked(bearer)).toBe(true);
  expect(store.looks).toBeGreaterThan(looks);
});

test('while the store is out of reach tokens are accepted for 10 s and then refused as unavailable', async () => {
  let now = Date.now();
  const store = new TestRevocationStore();
  const here = createRevocations({ store, now: () => now });
  expect(await here.isRevoked(bearer)).toBe(false);
  store.isDown = true;
  now += 9000;
  expect(await here.isRevoked(bearer)).toBe(false);
  now += 1001;
  await expect((async () => here.isRevoked(bearer))()).rejects.toThrow(UpstreamError);
});

test('where the operator says so, tokens are accepted for as long as the store is out of reach', async () => {
  let now = Date.now();
  const store = new TestRevocationStore();
  const here = createRevocations({ store, now: () => now, whenUnknown: 'accept' });
  await here.revoke('token', 'token-2');
  expect(await here.isRevoked(bearer)).toBe(false);
  store.isDown = true;
  now += 60_000;
  expect(await here.isRevoked(bearer)).toBe(false);
  const revoked = { ...bearer, token: { ...bearer.token, issuer: 'x', issuedAt: 1, tokenId: 'token-2' } };
  expect(await here.isRevoked(revoked)).toBe(true);
});

test('past the bound of what is remembered, what is dropped refuses more, never less', async () => {
  const store = new TestRevocationStore();
  const now = Date.now();
  const here = createRevocations({ store, now: () => now, maxEntries: 2 });
  for (const [index, name] of ['token-1', 'a', 'b'].entries()) {
    await here.revoke('token', name, { revokedAt: 2000 + index, expiresAt: now + 60_000 });
  }
  expect(await here.isRevoked(bearer)).toBe(true);
  const later = { ...bearer, token: { issuer: 'https://id.example', issuedAt: 2001, tokenId: 'token-3' } };
  expect(await here.isRevoked(later)).toBe(false);
});

test('is closed when nothing is asked of the store any more, which may then be closed itself', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  let now = Date.now();
  const store = new TestRevocationStore();
  const here = createRevocations({ store, now: () => now });
  const answers: (() => void)[] = [];
  const holdBack = (): Promise<number> => new Promise((resolve) => answers.push(() => resolve(0)));
  vi.spyOn(store, 'loadRevision').mockImplementation(holdBack);
  vi.spyOn(store, 'removeExpired').mockImplementation(holdBack);
  now += 3_600_000;
  vi.advanceTimersByTime(250);
  const closed = vi.fn<() => void>();
  const closing = here.close().then(closed);
  expect(answers).toHaveLength(2);
  for (const answer of answers) {
    await setImmediate();
    expect(closed).not.toHaveBeenCalled();
    answer();
  }
  await closing;
});
