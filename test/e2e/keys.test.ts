/**
 * The life of API keys: made, listed, replaced and ended at the command line and over HTTP, while a server runs that
 * has to notice.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Ending, findKey, type MooringProcess, runMooring, startMooring } from './mooring-process.ts';
import { callModern, collectEvents, getStream, initialize, postModern, toHeaders } from './wire.ts';

/** How long a stream may outlive its key: the server looks at least this often; see `KeyAuthenticator`. */
const cutWithinMs = 3000;
/** Long enough to be used on a busy machine. */
const shortLifeMs = 2500;

interface Key {
  readonly id: string;
  readonly key: string;
  readonly tenantId: string;
  readonly state: string;
  readonly [field: string]: unknown;
}

let notes: MooringProcess;
let second: string;

beforeAll(async () => {
  notes = await startMooring();
  second = await createTenant('second');
});
afterAll(async () => {
  await notes.dispose();
});

function mooring(...args: string[]): Promise<Ending> {
  return runMooring(args, { DATA_DIR: notes.dataDir });
}

async function mooringJson<Value>(...args: string[]): Promise<Value> {
  const { code, out, error } = await mooring(...args, '--json');
  expect(code, error).toBe(0);
  return JSON.parse(out) as Value;
}

async function createTenant(name: string): Promise<string> {
  return (await mooringJson<{ id: string }>('tenants', 'create', '--name', name)).id;
}

function createKey(...args: string[]): Promise<Key> {
  return mooringJson<Key>('keys', 'create', '--name', 'test', '--tenant', 'default', ...args);
}

async function statusFor(key: string): Promise<number> {
  const reply = await postModern({ url: notes.url, key }, 'tools/list');
  await reply.arrayBuffer();
  return reply.status;
}

async function overHttp(
  method: string,
  path: string,
  options: { readonly key: string; readonly body?: object },
): Promise<{ status: number; body: Record<string, unknown> }> {
  const reply = await fetch(`${notes.url}/keys${path}`, {
    method,
    headers: toHeaders(options.key),
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
  });
  const text = await reply.text();
  return { status: reply.status, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) };
}

describe('at the command line, beside a running server', () => {
  test('a key is made, works at once, is listed without itself, and can be looked at', async () => {
    const made = await createKey('--role', 'tenant_developer');
    expect(await statusFor(made.key)).toBe(200);
    const { out } = await mooring('keys', 'list', '--tenant', 'default', '--json');
    expect(findKey(out)).toBeUndefined();
    expect(JSON.parse(out)).toEqual(
      expect.arrayContaining([expect.objectContaining({ id: made.id, name: 'test' })]),
    );
    const shown = await mooring('keys', 'show', made.id);
    expect(shown).toMatchObject({ code: 0, error: '' });
    expect(shown.out).toContain(made.id);
    expect(findKey(shown.out)).toBeUndefined();
  });

  test('for people, a key is shown once, alone on its line', async () => {
    const { out } = await mooring('keys', 'create', '--name', 'for a person', '--tenant', 'default');
    const key = findKey(out) ?? '';
    expect(out.split('\n').filter((line) => line === key)).toHaveLength(1);
    expect(await statusFor(key)).toBe(200);
  });

  test('a key is rotated: both work in the overlap', async () => {
    const old = await createKey();
    const next = await mooringJson<Key>('keys', 'rotate', old.id, '--overlap', '1h');
    expect(next.key).not.toBe(old.key);
    expect(next['rotatedFrom']).toBe(old.id);
    expect(await Promise.all([statusFor(old.key), statusFor(next.key)])).toEqual([200, 200]);
  });

  test('a session opened with the old key goes on with the new one', async () => {
    const old = await createKey();
    const session = await initialize({ url: notes.url, key: old.key });
    const next = await mooringJson<Key>('keys', 'rotate', old.id);
    const reply = await getStream({ url: notes.url, key: next.key }, session);
    expect(reply.status).toBe(200);
    await reply.body?.cancel();
  });

  test('a revoked key is refused at the next request, and its open streams are cut', async () => {
    const { id, key } = await createKey();
    const target = { url: notes.url, key };
    const session = await initialize(target);
    const stream = collectEvents(await getStream(target, session));
    const listening = collectEvents(
      await postModern(target, 'subscriptions/listen', { notifications: { resourcesListChanged: true } }),
    );
    await vi.waitFor(() => {
      expect(stream.events).toHaveLength(1);
      expect(listening.events).toHaveLength(1);
    });
    const bystander = collectEvents(await getStream(notes, await initialize(notes)));

    expect(await mooring('keys', 'revoke', id)).toMatchObject({ code: 0 });
    const revokedAt = performance.now();
    expect(await statusFor(key)).toBe(401);
    await Promise.all([stream.ended, listening.ended]);
    expect(performance.now() - revokedAt).toBeLessThan(cutWithinMs);
    expect(await Promise.race([bystander.ended, Promise.resolve('open')])).toBe('open');
    expect((await getStream(target, session)).status).toBe(401);
  });

  test('a server that nobody asks notices a revocation too: a stream is cut without another request', async () => {
    const { id, key } = await createKey();
    const stream = collectEvents(
      await postModern({ url: notes.url, key }, 'subscriptions/listen', {
        notifications: { resourcesListChanged: true },
      }),
    );
    await vi.waitFor(() => expect(stream.events).toHaveLength(1));
    await mooring('keys', 'revoke', id);
    const revokedAt = performance.now();
    await stream.ended;
    expect(performance.now() - revokedAt).toBeLessThan(cutWithinMs);
  });

  test('a key that expires stops by itself, and its stream with it', async () => {
    const expiresAt = Date.now() + shortLifeMs;
    const body = { name: 'short', scopes: ['*'], expiresAt: new Date(expiresAt).toISOString() };
    const made = await overHttp('POST', '', { key: notes.key, body });
    const { key } = made.body as Key;
    const target = { url: notes.url, key };
    const stream = collectEvents(
      await postModern(target, 'subscriptions/listen', { notifications: { resourcesListChanged: true } }),
    );
    await vi.waitFor(() => expect(stream.events).toHaveLength(1));
    await stream.ended;
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt);
    expect(Date.now()).toBeLessThan(expiresAt + cutWithinMs);
    expect(await statusFor(key)).toBe(401);
  });

  test.each([
    ['keys', 'show', '00000000-0000-4000-8000-000000000000'],
    ['keys', 'create', '--name', 'x', '--tenant', 'nobody'],
    ['keys', 'create', '--name', 'x'],
    ['tenants', 'create', '--name', ''],
  ])('what cannot be done is said in one sentence: %s %s %s', async (...args) => {
    const { code, out, error } = await mooring(...args);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(error).toMatch(/^mooring: [^\n]+\n$/);
  });

  test('tenants are listed', async () => {
    const listed = await mooringJson<{ id: string; name: string }[]>('tenants', 'list');
    expect(listed.map(({ name }) => name)).toEqual(['default', 'second']);
    expect(listed[1]?.id).toBe(second);
  });
});

describe('over HTTP', () => {
  test('a key is made, listed, changed, rotated and ended', async () => {
    const { key } = notes;
    const made = await overHttp('POST', '', { key, body: { name: 'till 3', scopes: ['notes:read'] } });
    expect(made.status).toBe(201);
    const { id, key: secret, tenantId } = made.body as Key;
    expect(await statusFor(secret)).toBe(200);

    for (const query of ['', `?tenantId=${tenantId}`, `?businessId=${tenantId}`]) {
      const { status, body } = await overHttp('GET', query, { key });
      expect(status).toBe(200);
      expect(body['keys']).toEqual(expect.arrayContaining([expect.objectContaining({ id, name: 'till 3' })]));
      expect(findKey(JSON.stringify(body))).toBeUndefined();
    }

    expect(await overHttp('PATCH', `/${id}`, { key, body: { isActive: false } })).toMatchObject({
      status: 200,
    });
    expect(await statusFor(secret)).toBe(401);
    expect(await overHttp('PATCH', `/${id}`, { key, body: { isActive: true } })).toMatchObject({
      status: 200,
    });
    expect(await statusFor(secret)).toBe(200);

    const rotated = await overHttp('POST', `/${id}/rotate`, { key, body: { overlapSeconds: 2 } });
    expect(rotated.status).toBe(201);
    const next = rotated.body as Key;
    expect(await Promise.all([statusFor(secret), statusFor(next.key)])).toEqual([200, 200]);
    await vi.waitFor(async () => expect(await statusFor(secret)).toBe(401), {
      timeout: 10_000,
      interval: 100,
    });
    expect(await statusFor(next.key)).toBe(200);

    expect(await overHttp('DELETE', `/${next.id}`, { key })).toMatchObject({ status: 204 });
    expect(await statusFor(next.key)).toBe(401);
  });

  test("another tenant's keys are answered as if they did not exist", async () => {
    const theirs = await mooringJson<Key>('keys', 'create', '--name', 'theirs', '--tenant', 'second');
    const { key } = notes;
    const body = { name: 'mine now' };
    expect((await overHttp('GET', `?tenantId=${second}`, { key })).status).toBe(404);
    expect((await overHttp('PATCH', `/${theirs.id}`, { key, body })).status).toBe(404);
    expect((await overHttp('POST', `/${theirs.id}/rotate`, { key, body: {} })).status).toBe(404);
    expect((await overHttp('DELETE', `/${theirs.id}`, { key })).status).toBe(404);
    const made = await overHttp('POST', '', { key, body: { ...body, scopes: ['*'], tenantId: second } });
    expect([403, 404]).toContain(made.status);
    expect(await statusFor(theirs.key)).toBe(200);
  });

  test('a merchant may not manage keys, whatever its scopes', async () => {
    const { key, id } = await createKey('--role', 'merchant', '--scope', '*');
    expect((await overHttp('GET', '', { key })).status).toBe(403);
    expect((await overHttp('POST', '', { key, body: { name: 'x', scopes: ['*'] } })).status).toBe(403);
    expect((await overHttp('PATCH', `/${id}`, { key, body: { role: 'tenant_developer' } })).status).toBe(403);
    expect((await overHttp('POST', `/${id}/rotate`, { key, body: {} })).status).toBe(403);
    expect((await overHttp('DELETE', `/${id}`, { key })).status).toBe(403);
  });

  test('a key never makes, or becomes, one that is stronger', async () => {
    const { key } = await createKey('--role', 'tenant_developer', '--scope', 'notes:read', '--expires', '1h');
    const make = (body: object): Promise<{ status: number; body: Record<string, unknown> }> =>
      overHttp('POST', '', { key, body: { name: 'x', scopes: ['notes:read'], ...body } });
    const { status, body } = await make({});
    expect(status).toBe(201);
    expect(Date.parse(String(body['expiresAt']))).toBeLessThan(Date.now() + 3_700_000);
    for (const more of [
      { scopes: ['*'] },
      { scopes: ['notes:read', 'notes:write'] },
      { role: 'platform_operator' },
      { expiresAt: '2099-01-01T00:00:00Z' },
    ]) {
      expect((await make(more)).status, JSON.stringify(more)).toBe(403);
      const raised = await overHttp('PATCH', `/${String(body['id'])}`, { key, body: more });
      expect(raised.status, JSON.stringify(more)).toBe(403);
    }
  });

  test('takes a key as the tools do: none or a wrong one is 401', async () => {
    expect((await fetch(`${notes.url}/keys`)).status).toBe(401);
    expect((await overHttp('GET', '', { key: 'mooring_mcp_00' })).status).toBe(401);
  });
});

test('when a key was last used is kept', async () => {
  const { id, key } = await createKey();
  await callModern({ url: notes.url, key }, 'list_notes');
  // It is written in batches; a server that stops writes the last one.
  await notes.stop();
  const shown = await mooringJson<Key>('keys', 'show', id);
  expect(Date.now() - Date.parse(String(shown['lastUsedAt']))).toBeLessThan(60_000);
});
