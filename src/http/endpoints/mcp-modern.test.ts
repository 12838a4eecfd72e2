/** The stateless era over HTTP. MCP 2026-07-28. */
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { RequestError, UpstreamError } from '../../errors.ts';
import type { ServerChange } from '../../mcp/dispatch-target.ts';
import {
  definePrompt,
  defineResource,
  defineResourceTemplate,
  defineTool,
} from '../../mcp/server-definition.ts';
import { ToolResult } from '../../mcp/tool-result.ts';
import {
  createGate,
  createPrincipal,
  createTestEngine,
  settle,
  type TestEngine,
  type TestEngineOptions,
  until,
} from '../../mcp/test-engine.contract.ts';
import { type Json, type Received, TestClient } from './test-client.contract.ts';

const alice = createPrincipal('alice');
const bob = createPrincipal('bob');
const serverInfo = { name: 'test-server', version: '1.0.0' };
const serverInfoKey = 'io.modelcontextprotocol/serverInfo';
const subscriptionKey = 'io.modelcontextprotocol/subscriptionId';

const definition = {
  instructions: 'Read this first.',
  cache: { ttlMs: 5000, scope: 'public' as const },
  tools: [
    defineTool({ name: 'echo', input: z.object({ text: z.string() }), handler: ({ text }) => text }),
    defineTool({
      name: 'region',
      input: z.object({ region: z.string().optional().meta({ 'x-mcp-header': 'Region' }) }),
      handler: ({ region }) => region ?? 'none',
    }),
    defineTool({
      name: 'meta',
      handler: () => new ToolResult({ content: [], _meta: { mine: 1, [serverInfoKey]: 'forged' } }),
    }),
    defineTool({
      name: 'log',
      handler: (_, context) => {
        context.log('info', 'info');
        context.log('error', 'error');
        context.progress(1);
        return 'done';
      },
    }),
    defineTool({
      name: 'who',
      handler: (_, { clientInfo, session }) => `${clientInfo?.name} ${typeof session}`,
    }),
  ],
  resources: [
    defineResource({ name: 'r', uri: 'x://r', cache: { ttlMs: 10, scope: 'public' }, read: () => 'text' }),
  ],
  resourceTemplates: [
    defineResourceTemplate({
      name: 't',
      uriTemplate: 'x://t/{id}',
      complete: { id: () => ['1', '2'] },
      read: ({ id }) => id,
    }),
  ],
  prompts: [definePrompt({ name: 'p', handler: () => 'hello' })],
};

async function createServer(options: TestEngineOptions = {}): Promise<TestEngine & { client: TestClient }> {
  const made = await createTestEngine(definition, options);
  return { ...made, client: new TestClient(made.engine, alice) };
}

describe('server/discover', () => {
  it('tells everything a client must know, and for how long', async () => {
    const { client } = await createServer();
    const reply = await client.modern('server/discover');
    expect(reply.status).toBe(200);
    expect(reply.json.result).toEqual({
      resultType: 'complete',
      _meta: { [serverInfoKey]: serverInfo },
      ttlMs: 5000,
      cacheScope: 'public',
      supportedVersions: ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26'],
      capabilities: {
        logging: {},
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: { listChanged: true },
        completions: {},
      },
      instructions: 'Read this first.',
    });
  });
});

describe('a result', () => {
  it.each([
    ['server/discover', {}, 5000],
    ['tools/list', {}, 5000],
    ['prompts/list', {}, 5000],
    ['resources/templates/list', {}, 5000],
    ['resources/list', {}, 0],
    ['resources/read', { uri: 'x://r' }, 10],
    ['resources/read', { uri: 'x://t/1' }, 0],
  ])('of %s %j may be kept for %i ms', async (method, params, ttlMs) => {
    const { client } = await createServer();
    const { result } = (await client.modern(method, params)).json;
    expect(result).toMatchObject({
      resultType: 'complete',
      ttlMs,
      cacheScope: ttlMs === 0 ? 'private' : 'public',
      _meta: { [serverInfoKey]: serverInfo },
    });
  });

  it.each([
    ['tools/call', { name: 'echo', arguments: { text: 'x' } }],
    ['prompts/get', { name: 'p' }],
    [
      'completion/complete',
      { ref: { type: 'ref/resource', uri: 'x://t/{id}' }, argument: { name: 'id', value: '' } },
    ],
  ])('of %s is complete and names the server, and nothing may keep it', async (method, params) => {
    const { client } = await createServer();
    const { result } = (await client.modern(method, params)).json;
    expect(result).toMatchObject({ resultType: 'complete', _meta: { [serverInfoKey]: serverInfo } });
    expect(result).not.toHaveProperty('ttlMs');
  });

  it("keeps a handler's own _meta beside the server's, which cannot be forged", async () => {
    const { client } = await createServer();
    const { result } = (await client.modern('tools/call', { name: 'meta' })).json;
    expect(result._meta).toEqual({ mine: 1, [serverInfoKey]: serverInfo });
  });
});

describe('a request', () => {
  const errorOf = (reply: Received): [number, number, Json] => [
    reply.status,
    reply.json.error.code,
    reply.json.id,
  ];

  it.each([
    'initialize',
    'ping',
    'logging/setLevel',
    'resources/subscribe',
    'resources/unsubscribe',
    'sampling/createMessage',
    'no/such',
    'constructor',
  ])('for %s finds no method: 404', async (method) => {
    const { client } = await createServer();
    expect(errorOf(await client.modern(method, {}, { id: 'a' }))).toEqual([404, -32601, 'a']);
  });

  it.each([
    ['no version header', { 'mcp-protocol-version': undefined }, -32020],
    ['another version in the header', { 'mcp-protocol-version': '2025-11-25' }, -32020],
    ['no Mcp-Method', { 'mcp-method': undefined }, -32020],
    ['another Mcp-Method', { 'mcp-method': 'tools/list' }, -32020],
    ['no Mcp-Name', { 'mcp-name': undefined }, -32020],
    ['another Mcp-Name', { 'mcp-name': 'other' }, -32020],
    ['an Mcp-Name that cannot be read', { 'mcp-name': '=?base64?*?=' }, -32020],
  ])('with %s is refused: 400', async (_, headers, code) => {
    const { client } = await createServer();
    const params = { name: 'echo', arguments: { text: 'x' } };
    expect(errorOf(await client.modern('tools/call', params, { id: 'a', headers }))).toEqual([
      400,
      code,
      'a',
    ]);
  });

  it.each<[string, Record<string, unknown>, number]>([
    ['no capabilities', { 'io.modelcontextprotocol/clientCapabilities': undefined }, -32602],
    ['capabilities that are none', { 'io.modelcontextprotocol/clientCapabilities': [] }, -32602],
    ['a client without version', { 'io.modelcontextprotocol/clientInfo': { name: 'a' } }, -32602],
    ['a level that is none', { 'io.modelcontextprotocol/logLevel': 'loud' }, -32602],
    ['a version that is no text', { 'io.modelcontextprotocol/protocolVersion': 1 }, -32020],
  ])('with %s in _meta is refused: 400', async (_, meta, code) => {
    const { client } = await createServer();
    expect(errorOf(await client.modern('tools/list', {}, { id: 'a', meta }))).toEqual([400, code, 'a']);
  });

  it('of a version that is not served is told which are', async () => {
    const { client } = await createServer();
    const reply = await client.modern(
      'tools/list',
      {},
      {
        headers: { 'mcp-protocol-version': '2030-01-01' },
        meta: { 'io.modelcontextprotocol/protocolVersion': '2030-01-01' },
      },
    );
    expect(reply.status).toBe(400);
    expect(reply.json.error).toMatchObject({
      code: -32022,
      data: { requested: '2030-01-01', supported: expect.arrayContaining(['2026-07-28', '2025-11-25']) },
    });
  });

  it('that fails in its parameters is told in the body alone: 200', async () => {
    const { client } = await createServer();
    expect(errorOf(await client.modern('tools/call', { name: 'none' }, { id: 'a' }))).toEqual([
      200,
      -32602,
      'a',
    ]);
    expect(errorOf(await client.modern('resources/read', { uri: 'x://none' }, { id: 'a' }))).toEqual([
      200,
      -32602,
      'a',
    ]);
  });

  it('repeats annotated parameters in headers, which must agree', async () => {
    const { client } = await createServer();
    const call = (region: string | undefined, headers: Record<string, string>): Promise<Received> =>
      client.modern(
        'tools/call',
        { name: 'region', arguments: region === undefined ? {} : { region } },
        { headers },
      );
    expect((await call('eu', { 'mcp-param-region': 'eu' })).json.result.content[0].text).toBe('eu');
    expect((await call(undefined, {})).json.result.content[0].text).toBe('none');
    for (const refused of [
      await call('eu', {}),
      await call('eu', { 'mcp-param-region': 'us' }),
      await call(undefined, { 'mcp-param-region': 'us' }),
    ])
      expect([refused.status, refused.json.error.code]).toEqual([400, -32020]);
  });

  it('needs no session and makes none', async () => {
    const { client } = await createServer();
    const reply = await client.modern(
      'tools/call',
      { name: 'who' },
      { headers: { 'mcp-session-id': 'stale' } },
    );
    expect(reply.json.result.content[0].text).toBe('test-client undefined');
    expect(reply.headers).not.toHaveProperty('Mcp-Session-Id');
  });

  it('hears messages only at the level that it names, and progress only when it asks', async () => {
    const { client } = await createServer();
    expect((await client.modern('tools/call', { name: 'log' })).kind).toBe('full');
    const reply = await client.modern(
      'tools/call',
      { name: 'log' },
      { meta: { 'io.modelcontextprotocol/logLevel': 'error', progressToken: 7 } },
    );
    await reply.untilEnded();
    expect(reply.messages.map(({ method }: Json) => method)).toEqual([
      'notifications/message',
      'notifications/progress',
      undefined,
    ]);
    // Streams of this era cannot be resumed, so their events have no ids.
    expect(reply.events.every(({ id, retryMs }) => id === undefined && retryMs === undefined)).toBe(true);
  });

  it('that is no request is accepted or refused: notifications 202, responses 400', async () => {
    const { client } = await createServer();
    const headers = { 'mcp-protocol-version': '2026-07-28' };
    const notification = await client.send({ headers, body: { jsonrpc: '2.0', method: 'notifications/x' } });
    expect(notification).toMatchObject({ status: 202, body: '' });
    const response = await client.send({ headers, body: { jsonrpc: '2.0', id: 1, result: {} } });
    expect([response.status, response.json.error.code]).toEqual([400, -32600]);
  });

  it('that fails by our fault is told without its text and logged with its cause', async () => {
    const failures: Error[] = [new Error('secret one'), new UpstreamError('redis', 'secret two')];
    const { engine, lines } = await createTestEngine({
      target: {
        serverInfo,
        instructions: undefined,
        capabilities: {},
        dispatch: ({ params }) => Promise.reject(failures[Number(params['which'])]),
        close: async () => {},
      },
    });
    const client = new TestClient(engine, alice);
    // What is the caller's is told as it is, in HTTP too.
    failures.push(
      new RequestError('forbidden', 'Not for you', { headers: { 'WWW-Authenticate': 'Bearer' } }),
    );
    const refused = await client.modern('x/y', { which: 2 });
    expect(refused).toMatchObject({ status: 403, headers: { 'WWW-Authenticate': 'Bearer' } });
    expect(refused.json.error).toMatchObject({ message: 'Not for you' });
    expect(lines).toEqual([]);
    for (const [which, failure] of failures.slice(0, 2).entries()) {
      const reply = await client.modern('x/y', { which });
      expect(reply.json.error.code).toBe(-32603);
      expect(reply.body).not.toContain('secret');
      expect(lines.at(-1)?.error).toBe(failure);
    }
  });
});

describe('a client that leaves', () => {
  it('cancels its request, whose handler is told and may say no more', async () => {
    const gate = createGate();
    const seen: string[] = [];
    const { engine } = await createTestEngine({
      tools: [
        defineTool({
          name: 'wait',
          handler: async (_, context) => {
            context.signal.addEventListener('abort', () => seen.push('aborted'));
            context.log('info', 'started');
            await gate.passed;
            context.log('info', 'too late');
            seen.push('returned');
            return 'too late';
          },
        }),
      ],
    });
    const call = await new TestClient(engine, alice).modern(
      'tools/call',
      { name: 'wait' },
      { meta: { 'io.modelcontextprotocol/logLevel': 'debug' } },
    );
    call.leave();
    expect(seen).toEqual(['aborted']);
    expect(engine.calls.count).toBe(0);
    gate.open();
    await until(() => seen.includes('returned'), 'the handler');
    expect(call.messages.map(({ params }: Json) => params.data)).toEqual(['started']);
    expect(engine.streams.count).toBe(0);
  });

  it('before anything was answered cancels it too', async () => {
    const seen: string[] = [];
    const { engine } = await createTestEngine({
      tools: [
        defineTool({
          name: 'wait',
          handler: (_, { signal }) =>
            new Promise((resolve) => {
              signal.addEventListener('abort', () => {
                seen.push('aborted');
                resolve('late');
              });
            }),
        }),
      ],
    });
    await new TestClient(engine, alice).modern('tools/call', { name: 'wait' }, { leavesBeforeReply: true });
    expect(seen).toEqual(['aborted']);
  });
});

describe('subscriptions/listen', () => {
  const listen = (
    client: TestClient,
    notifications: unknown,
    id: string | number = 'sub',
  ): Promise<Received> => client.modern('subscriptions/listen', { notifications }, { id });
  const updated = (uri: string, tenantId: string | undefined): ServerChange => ({
    kind: 'resource_updated',
    uri,
    tenantId,
  });

  it('first acknowledges what of the filter the server can tell', async () => {
    const { engine } = await createTestEngine({ tools: definition.tools });
    const stream = await listen(new TestClient(engine, alice), {
      toolsListChanged: true,
      promptsListChanged: true,
      resourcesListChanged: false,
      resourceSubscriptions: ['x://r'],
      unknown: true,
    });
    expect(stream.messages).toEqual([
      {
        jsonrpc: '2.0',
        method: 'notifications/subscriptions/acknowledged',
        params: { _meta: { [subscriptionKey]: 'sub' }, notifications: { toolsListChanged: true } },
      },
    ]);
  });

  it('tells what was asked for, of its own tenant, under its id, and nothing else', async () => {
    const { engine, client } = await createServer();
    const stream = await listen(client, { toolsListChanged: true, resourceSubscriptions: ['x://a'] }, 5);
    await engine.changes.publish({ kind: 'list_changed', list: 'prompts', tenantId: undefined });
    await engine.changes.publish({ kind: 'list_changed', list: 'tools', tenantId: bob.activeTenantId });
    await engine.changes.publish(updated('x://a', bob.activeTenantId));
    await engine.changes.publish(updated('x://b', alice.activeTenantId));
    await engine.changes.publish(updated('x://a', alice.activeTenantId));
    await engine.changes.publish({ kind: 'list_changed', list: 'tools', tenantId: undefined });
    await until(() => stream.messages.length >= 3, 'the changes');
    await settle();
    expect(stream.messages.slice(1)).toEqual([
      {
        jsonrpc: '2.0',
        method: 'notifications/resources/updated',
        params: { _meta: { [subscriptionKey]: 5 }, uri: 'x://a' },
      },
      {
        jsonrpc: '2.0',
        method: 'notifications/tools/list_changed',
        params: { _meta: { [subscriptionKey]: 5 } },
      },
    ]);
  });

  it.each<[string, unknown]>([
    ['no filter', undefined],
    ['a filter that is none', []],
    ['a flag that is no boolean', { toolsListChanged: 'yes' }],
    ['URIs that are no list', { resourceSubscriptions: 'x://a' }],
    ['URIs that are no text', { resourceSubscriptions: [1] }],
    ['too many URIs', { resourceSubscriptions: Array.from({ length: 1001 }, (_, index) => `x://${index}`) }],
  ])('refuses %s', async (_, notifications) => {
    const { client } = await createServer();
    const reply = await listen(client, notifications);
    expect([reply.status, reply.json.error.code, reply.json.id]).toEqual([400, -32602, 'sub']);
  });

  it('ends with a result when the instance stops or the credential is revoked', async () => {
    for (const reason of ['stopping', 'revoked'] as const) {
      const { engine, client } = await createServer();
      const stream = await listen(client, {});
      if (reason === 'stopping') engine.streams.stop();
      else
        engine.streams.endWhere('revoked', ({ principal }) => principal.credentialId === alice.credentialId);
      await stream.untilEnded();
      expect(stream.messages.at(-1)).toEqual({
        jsonrpc: '2.0',
        id: 'sub',
        result: {
          resultType: 'complete',
          _meta: { [subscriptionKey]: 'sub', [serverInfoKey]: serverInfo },
        },
      });
      expect(engine.streams.count).toBe(0);
    }
  });

  it('is forgotten when its client leaves', async () => {
    const { engine, client } = await createServer();
    const stream = await listen(client, { toolsListChanged: true });
    stream.leave();
    await listen(client, {}).then((other) => {
      other.leave();
    });
    expect(engine.streams.count).toBe(0);
    await engine.changes.publish({ kind: 'list_changed', list: 'tools', tenantId: undefined });
    await settle();
    expect(stream.messages.length).toBe(1);
  });

  it('is limited per principal: 429 past it', async () => {
    const { engine, client } = await createServer({ limits: { maxStreamsPerPrincipal: 1 } });
    await listen(client, {});
    await expect(listen(client, {})).rejects.toMatchObject({ code: 'too_many_streams', status: 429 });
    expect((await listen(new TestClient(engine, bob), {})).kind).toBe('stream');
  });

  it('sends comments while nothing happens', async () => {
    const { client } = await createServer({ limits: { keepAliveMs: 5 } });
    const stream = await listen(client, {});
    await until(() => stream.chunks.includes(':\n\n'), 'a keep-alive');
  });
});

describe('which era a message is of', () => {
  it('is told by its own claim first, then by the version header', async () => {
    const { client } = await createServer();
    // No claim, no header: a session is expected.
    const bare = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
    await expect(client.send({ body: bare })).rejects.toMatchObject({ code: 'session_id_required' });
    // The header alone: modern, and incomplete.
    const headed = await client.send({
      headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' },
      body: bare,
    });
    expect([headed.status, headed.json.error.code]).toEqual([400, -32602]);
    // Both eras at one endpoint, one after the other.
    const session = await client.initialize();
    expect((await session.request('tools/list')).json.result.tools.length).toBe(5);
    expect((await client.modern('tools/list')).json.result.tools.length).toBe(5);
  });

  it('has no batches in the modern one', async () => {
    const { client } = await createServer();
    await expect(
      client.send({
        headers: { 'mcp-protocol-version': '2026-07-28' },
        body: [{ jsonrpc: '2.0', id: 1, method: 'tools/list' }],
      }),
    ).rejects.toMatchObject({ status: 400 });
  });
});
