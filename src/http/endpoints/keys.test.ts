import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KeyService } from '../../auth/key-service.ts';
import type { Principal } from '../../auth/principal.ts';
import { type Database, openDatabase } from '../../database/open-database.ts';
import { SqlApiKeyStore } from '../../database/sql-api-key-store.ts';
import { SqlTenantStore } from '../../database/sql-tenant-store.ts';
import type { HttpRequest } from '../messages.ts';
import { createKeyEndpoints, type KeyEndpoints } from './keys.ts';

const now = Date.parse('2027-01-01T00:00:00Z');
const developer: Principal = {
  kind: 'key',
  subject: 'dev',
  credentialId: 'dev',
  tenantIds: ['cafe', 'bar'],
  activeTenantId: 'cafe',
  role: 'tenant_developer',
  scopes: ['*'],
};

let database: Database;
let endpoints: KeyEndpoints;

beforeEach(async () => {
  database = await openDatabase({ kind: 'sqlite', path: ':memory:' });
  const tenants = new SqlTenantStore(database);
  for (const id of ['cafe', 'bar', 'shop']) await tenants.insert({ id, name: id, createdAt: now });
  const clock = () => now;
  endpoints = createKeyEndpoints(
    new KeyService({ keys: new SqlApiKeyStore(database), tenants, now: clock }),
    clock,
  );
});
afterEach(() => database.close());

type Parts = Partial<Omit<HttpRequest, 'body'>> & { readonly body?: unknown; readonly id?: string };

async function call(name: keyof KeyEndpoints, { id, body, ...parts }: Parts = {}) {
  const reply = await endpoints[name]({
    method: 'POST',
    path: '/mcp/keys',
    query: '',
    headers: body === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' },
    body: body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body),
    requestId: 'r',
    principal: developer,
    parameters: id === undefined ? {} : { id },
    clientAddress: undefined,
    onClose: () => undefined,
    ...parts,
  });
  if (reply.kind !== 'full') throw new Error('not a full reply');
  return {
    status: reply.status,
    headers: reply.headers,
    value: reply.body === '' ? undefined : JSON.parse(reply.body),
  };
}

const body = { name: 'till', scopes: ['notes'] };

describe('the life of a key', () => {
  test('made, listed, changed, replaced, revoked; the key itself is told once and nothing may be stored', async () => {
    const made = await call('create', { body: { ...body, expiresAt: '2027-06-01T02:00:00+02:00' } });
    expect(made).toMatchObject({
      status: 201,
      headers: { 'Cache-Control': 'no-store', 'Content-Type': 'application/json' },
      value: {
        tenantId: 'cafe',
        role: 'merchant',
        state: 'active',
        createdBy: 'key:dev@cafe',
        expiresAt: '2027-06-01T00:00:00.000Z',
        key: expect.stringMatching(/^mooring_mcp_[0-9a-f]{64}$/),
      },
    });
    const { id } = made.value;
    const listed = await call('list');
    expect(listed.status).toBe(200);
    expect(listed.value).toEqual({ keys: [{ ...made.value, key: undefined }] });
    expect(await call('update', { id, body: { isActive: false, expiresAt: null } })).toMatchObject({
      status: 200,
      value: { isActive: false, state: 'inactive' },
    });
    await call('update', { id, body: { isActive: true } });
    expect(await call('rotate', { id, body: { overlapSeconds: 60 } })).toMatchObject({
      status: 201,
      value: { rotatedFrom: id, lineageId: id, key: expect.any(String) },
    });
    await expect(call('rotate', { id })).rejects.toMatchObject({ code: 'conflict' });
    expect(await call('revoke', { id })).toEqual({
      status: 204,
      headers: { 'Cache-Control': 'no-store' },
      value: undefined,
    });
  });

  test('pages by cursor', async () => {
    for (let n = 0; n < 3; n += 1) await call('create', { body });
    const first = await call('list', { query: 'limit=2' });
    expect(first.value.keys).toHaveLength(2);
    const second = await call('list', { query: `limit=2&cursor=${first.value.nextCursor}` });
    expect(second.value.keys).toHaveLength(1);
    expect(second.value).not.toHaveProperty('nextCursor');
  });
});

describe('which tenant', () => {
  test.each(['tenantId=bar', 'businessId=bar', 'tenantId=bar&businessId=bar'])('%s', async (query) => {
    await call('create', { body: { ...body, businessId: 'bar' } });
    expect((await call('list', { query })).value.keys).toMatchObject([{ tenantId: 'bar' }]);
    expect((await call('list')).value.keys).toEqual([]);
  });

  test('two names that differ are refused', async () => {
    const refused = { code: 'request_invalid', status: 400 };
    await expect(call('list', { query: 'tenantId=bar&businessId=cafe' })).rejects.toMatchObject(refused);
    await expect(
      call('create', { body: { ...body, tenantId: 'bar', businessId: 'cafe' } }),
    ).rejects.toMatchObject(refused);
  });

  test("another's tenant and its keys do not exist", async () => {
    const missing = { code: 'not_found', status: 404 };
    const foreign = await call('create', {
      body,
      principal: { ...developer, tenantIds: ['shop'], activeTenantId: 'shop' },
    });
    const { id } = foreign.value;
    await expect(call('list', { query: 'businessId=shop' })).rejects.toMatchObject(missing);
    await expect(call('create', { body: { ...body, tenantId: 'shop' } })).rejects.toMatchObject(missing);
    await expect(call('update', { id, body: { name: 'x' } })).rejects.toMatchObject(missing);
    await expect(call('rotate', { id })).rejects.toMatchObject(missing);
    await expect(call('revoke', { id })).rejects.toMatchObject(missing);
  });
});

describe('what cannot be read', () => {
  test.each([
    ['{', /not valid JSON/],
    ['[]', /The body is not valid/],
    ['null', /The body is not valid/],
    [{}, /name: .*scopes: /],
    [{ ...body, name: '' }, /name: must not be empty/],
    [{ ...body, name: 'a\u0000b' }, /name: must not contain control/],
    [{ ...body, name: '\ud800' }, /name: must not contain control/],
    [{ ...body, scopes: [] }, /scopes: must name at least one/],
    [{ ...body, scopes: ['a b'] }, /scopes\.0: each must be printable/],
    [{ ...body, scopes: Array.from({ length: 65 }, (_, n) => `s${n}`) }, /at most 64 scopes/],
    [{ ...body, role: 'Root' }, /role: must be/],
    [{ ...body, expiresAt: '2027-06-01' }, /expiresAt: must be an ISO 8601/],
    [{ ...body, expiresAt: '2026-06-01T00:00:00Z' }, /must be in the future/],
    [{ ...body, tenantId: '\u0000' }, /tenantId: must be/],
    [{ ...body, extra: 1 }, /extra/],
    ['{"name":"a","scopes":["a"],"__proto__":{"role":"x"}}', /__proto__/],
  ])('a body is refused with its reasons: %j', async (wrong, message) => {
    await expect(call('create', { body: wrong })).rejects.toMatchObject({
      code: 'request_invalid',
      message: expect.stringMatching(message),
    });
  });

  test.each([
    'limit=0',
    'limit=201',
    'limit=x',
    'x=1',
    'tenantId=a&tenantId=b',
    'cursor=%00',
    'tenantId=%00',
    '__proto__=1',
  ])('a query is refused: %s', (query) =>
    expect(call('list', { query })).rejects.toMatchObject({ code: 'request_invalid' }),
  );

  test('a body that is not said to be JSON, and a change of nothing', async () => {
    const { id } = (await call('create', { body })).value;
    await expect(call('create', { body, headers: {} })).rejects.toMatchObject({ status: 415 });
    await expect(call('create', { body, headers: { 'content-type': 'text/plain' } })).rejects.toMatchObject({
      status: 415,
    });
    await expect(call('update', { id, body: {} })).rejects.toMatchObject({ code: 'request_invalid' });
    await expect(call('rotate', { id, body: { overlapSeconds: 1e9 } })).rejects.toMatchObject({
      code: 'request_invalid',
    });
  });

  test.each(['', 'x', '../x', "' or 1=1", '\u0000', '00000000-0000-4000-8000-000000000000'])(
    'the id %j is no key',
    (id) => expect(call('revoke', { id })).rejects.toMatchObject({ code: 'not_found', status: 404 }),
  );
});
