/** What callers without the scopes meet. MCP 2026-07-28, Authorization, Runtime Insufficient Scope Errors. */
import { describe, expect, it, vi } from 'vitest';
import { defineResource, defineTool } from '../../mcp/server-definition.ts';
import { createPrincipal, createTestEngine } from '../../mcp/test-engine.contract.ts';
import { TestClient } from './test-client.contract.ts';

const add = vi.fn<() => string>(() => 'added');
const definition = {
  baseScopes: ['notes:read'],
  tools: [
    defineTool({ name: 'list', handler: () => 'listed' }),
    defineTool({ name: 'add', scopes: ['notes:write', 'audit'], handler: add }),
  ],
  resources: [defineResource({ name: 'r', uri: 'x://r', scopes: ['secrets'], read: () => 'secret' })],
};

function callerWith(...scopes: readonly string[]): ReturnType<typeof createPrincipal> {
  return { ...createPrincipal('alice'), scopes };
}

async function connect(...scopes: readonly string[]): Promise<TestClient> {
  const { engine } = await createTestEngine(definition);
  return new TestClient(engine, callerWith(...scopes));
}

/** What the edge renders as 403 and a challenge. */
const refusedFor = (...scopes: readonly string[]): object => ({
  code: 'insufficient_scope',
  status: 403,
  scopes,
});

describe('a stateless request', () => {
  it('is answered when the caller has what it needs', async () => {
    const client = await connect('notes:read', 'notes:write', 'audit');
    expect((await client.modern('tools/call', { name: 'add' })).json.result.content[0].text).toBe('added');
  });

  it('is refused with everything it needs at once, and nothing runs', async () => {
    add.mockClear();
    const client = await connect('notes:read');
    await expect(client.modern('tools/call', { name: 'add' })).rejects.toMatchObject(
      refusedFor('notes:read', 'notes:write', 'audit'),
    );
    expect(add).not.toHaveBeenCalled();
  });

  it('passes with a broader scope that implies what it needs', async () => {
    const client = await connect('notes', 'audit');
    expect((await client.modern('tools/call', { name: 'add' })).status).toBe(200);
    expect((await (await connect('*')).modern('tools/call', { name: 'add' })).status).toBe(200);
    await expect((await connect('note', 'audit')).modern('tools/list')).rejects.toMatchObject(
      refusedFor('notes:read'),
    );
  });

  it('cannot listen to a resource that the caller may not read', async () => {
    const client = await connect('notes:read');
    await expect(
      client.modern('subscriptions/listen', { notifications: { resourceSubscriptions: ['x://r'] } }),
    ).rejects.toMatchObject(refusedFor('notes:read', 'secrets'));
  });
});

describe('a session', () => {
  it('is opened only by a caller with the base scopes', async () => {
    await expect((await connect('other')).initialize()).rejects.toMatchObject(
      refusedFor('other', 'notes:read'),
    );
  });

  it('tells its client also what it has, as these clients replace the scopes they ask for', async () => {
    const session = await (await connect('notes:read', 'extra')).initialize();
    expect((await session.request('tools/call', { name: 'list' })).status).toBe(200);
    await expect(session.request('tools/call', { name: 'add' })).rejects.toMatchObject(
      refusedFor('notes:read', 'extra', 'notes:write', 'audit'),
    );
    await expect(session.request('resources/subscribe', { uri: 'x://r' })).rejects.toMatchObject(
      refusedFor('notes:read', 'extra', 'secrets'),
    );
  });

  it('goes on once the caller comes with more', async () => {
    const client = await connect('notes:read');
    const session = await client.initialize();
    const principal = callerWith('notes:read', 'notes:write', 'audit');
    const reply = await session.request('tools/call', { name: 'add' }, 1, { principal });
    expect(reply.json.result.content[0].text).toBe('added');
  });

  it('gives no stream to a caller without the base scopes', async () => {
    const session = await (await connect('notes:read')).initialize();
    await expect(session.listen(undefined, { principal: callerWith('other') })).rejects.toMatchObject(
      refusedFor('other', 'notes:read'),
    );
  });

  it('judges a batch as a whole, before any of it runs', async () => {
    add.mockClear();
    const session = await (await connect('notes:read')).initialize({ protocolVersion: '2025-03-26' });
    const call = (id: number, name: string): object => ({
      jsonrpc: '2.0',
      id,
      method: 'tools/call',
      params: { name },
    });
    await expect(session.send({ body: [call(1, 'list'), call(2, 'add')] })).rejects.toMatchObject(
      refusedFor('notes:read', 'notes:write', 'audit'),
    );
    expect(add).not.toHaveBeenCalled();
  });
});
