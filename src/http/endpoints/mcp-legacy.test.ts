/** Sessions and their requests over HTTP. MCP 2025-11-25, Lifecycle and Transports. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { maxSubscribedUriLength, maxSubscriptions } from '../../mcp/legacy-protocol.ts';
import { defineResource, defineTool } from '../../mcp/server-definition.ts';
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

const definition = {
  instructions: 'Read this first.',
  tools: [
    defineTool({
      name: 'echo',
      input: z.object({ text: z.string(), say: z.array(z.string()).default([]) }),
      handler: async ({ text, say }, context) => {
        for (const word of say) context.log('info', word);
        return text;
      },
    }),
    defineTool({
      name: 'levels',
      handler: (_, context) => {
        for (const level of ['debug', 'info', 'warning', 'error'] as const) context.log(level, level);
        return 'done';
      },
    }),
    defineTool({
      name: 'progress',
      handler: (_, context) => {
        for (const step of [1, 2, 2, 1, 3]) context.progress(step, 3);
        return 'done';
      },
    }),
    defineTool({
      name: 'count',
      handler: async (_, { session }) =>
        String(await session?.update<number>('count', (count) => (count ?? 0) + 1)),
    }),
  ],
  resources: [defineResource({ name: 'r', uri: 'x://r', read: () => 'text' })],
};

async function createServer(
  options: TestEngineOptions = {},
): Promise<TestEngine & { client: TestClient; shared: SharedStores }> {
  const shared = options.shared ?? createSharedStores();
  const made = await createTestEngine(definition, { ...options, shared });
  return { ...made, client: new TestClient(made.engine, alice), shared };
}

const textOf = (reply: Received): string => reply.json.result.content[0].text;
const toRequest = (id: number, method: string, params: object = {}): object => ({
  jsonrpc: '2.0',
  id,
  method,
  params,
});

describe('initialize', () => {
  it.each(['2025-11-25', '2025-06-18', '2025-03-26'])('agrees to %s', async (protocolVersion) => {
    const { client } = await createServer();
    const { opened } = await client.initialize({ protocolVersion });
    expect(opened).toEqual({
      protocolVersion,
      capabilities: {
        logging: {},
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
      },
      serverInfo: { name: 'test-server', version: '1.0.0' },
      instructions: 'Read this first.',
    });
  });

  it.each(['2024-11-05', '2026-07-28', '9999-01-01', ''])(
    'offers the newest session revision to a client that asks for %j',
    async (protocolVersion) => {
      const { client } = await createServer();
      expect((await client.initialize({ protocolVersion })).opened.protocolVersion).toBe('2025-11-25');
    },
  );

  it('makes ids that cannot be guessed, of characters that a header may hold', async () => {
    const { client } = await createServer();
    const ids = await Promise.all(Array.from({ length: 20 }, async () => (await client.initialize()).id));
    expect(new Set(ids).size).toBe(20);
    for (const id of ids) expect(id).toMatch(/^[\w-]{32}$/);
  });

  it.each([
    ['no version', { capabilities: {}, clientInfo: { name: 'a', version: '1' } }],
    ['no client', { protocolVersion: '2025-11-25', capabilities: {} }],
    ['a client without version', { protocolVersion: '2025-11-25', clientInfo: { name: 'a' } }],
    [
      'capabilities that are none',
      { protocolVersion: '2025-11-25', capabilities: [], clientInfo: { name: 'a', version: '1' } },
    ],
  ])('refuses %s', async (_, params) => {
    const { client } = await createServer();
    const reply = await client.send({ body: toRequest(1, 'initialize', params) });
    expect(reply.json.error.code).toBe(-32602);
    expect(reply.headers['Mcp-Session-Id']).toBeUndefined();
  });

  it("refuses a client that describes itself at too great a length, as the client's fault", async () => {
    const { client } = await createServer();
    const clientInfo = { name: 'a'.repeat(100_000), version: '1' };
    const reply = await client.send({
      body: toRequest(1, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo }),
    });
    expect(reply.json.error.code).toBe(-32602);
  });

  it("ends no later than the credential's own end", async () => {
    const { engine } = await createServer();
    const expiresAt = Date.now() + 5000;
    const session = await new TestClient(engine, { ...alice, expiresAt }).initialize();
    expect((await engine.sessions.load(session.id))?.expiresAt).toBe(expiresAt);
  });
});

describe('a request in a session', () => {
  it('needs the session id', async () => {
    const { client } = await createServer();
    for (const headers of [{}, { 'mcp-session-id': '' }])
      await expect(client.send({ headers, body: toRequest(1, 'ping') })).rejects.toMatchObject({
        code: 'session_id_required',
        status: 400,
        message: 'mcp-session-id header required',
      });
  });

  it('of an unknown, malformed, ended or foreign session is answered alike, by every method', async () => {
    const { engine, client } = await createServer();
    const theirs = await new TestClient(engine, bob).initialize();
    const ended = await client.initialize();
    await ended.end();
    for (const id of ['never', 'a b', 'ü', 'x'.repeat(500), theirs.id, ended.id]) {
      const headers = { 'mcp-session-id': id };
      for (const asked of [
        { headers, body: toRequest(1, 'ping') },
        { headers, body: { jsonrpc: '2.0', method: 'notifications/initialized' } },
        { headers, method: 'GET' as const },
        { headers, method: 'DELETE' as const },
      ])
        await expect(client.send(asked)).rejects.toMatchObject({
          code: 'session_unknown',
          message: 'Unknown session ID',
        });
    }
    // And nothing happened to the session that was tried.
    expect((await theirs.request('ping')).json.result).toEqual({});
  });

  it('is of its principal in its tenant: another tenant of the same subject is someone else', async () => {
    const { engine, client } = await createServer();
    const session = await client.initialize();
    const elsewhere = new TestClient(engine, createPrincipal('alice', 'tenant-other'));
    await expect(session.through(elsewhere).request('ping')).rejects.toMatchObject({
      code: 'session_unknown',
    });
    const rotated = new TestClient(engine, { ...alice, credentialId: 'key-new' });
    expect((await session.through(rotated).request('ping')).json.result).toEqual({});
  });

  it('may say its revision in a header, or not; an unknown one is refused', async () => {
    const { client } = await createServer();
    const session = await client.initialize();
    const ping = (version: string): Promise<Received> =>
      session.request('ping', {}, 1, { headers: { 'mcp-protocol-version': version } });
    expect((await ping('2025-11-25')).json.result).toEqual({});
    const refused = await ping('1999-01-01');
    expect(refused.status).toBe(400);
    expect(refused.json.error).toMatchObject({ code: -32022, data: { requested: '1999-01-01' } });
  });

  it.each(['server/discover', 'subscriptions/listen', 'no/such', 'constructor', '__proto__', 'toString'])(
    'for %s finds no method, told in the body',
    async (method) => {
      const { client } = await createServer();
      const reply = await (await client.initialize()).request(method);
      expect(reply.status).toBe(200);
      expect(reply.json).toMatchObject({ id: 1, error: { code: -32601 } });
    },
  );

  it('echoes its id, string or integer', async () => {
    const { client } = await createServer();
    const session = await client.initialize();
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string(), fc.integer()), async (id) => {
        expect((await session.request('ping', {}, id)).json.id).toBe(id);
      }),
      { numRuns: 50 },
    );
  });

  it('has results without the fields of the stateless era', async () => {
    const { client } = await createServer();
    const session = await client.initialize();
    for (const [method, params] of [
      ['tools/list', {}],
      ['tools/call', { name: 'echo', arguments: { text: 'x' } }],
      ['resources/read', { uri: 'x://r' }],
    ] as const) {
      const { result } = (await session.request(method, params)).json;
      for (const field of ['resultType', '_meta', 'ttlMs', 'cacheScope'])
        expect(result).not.toHaveProperty(field);
    }
  });

  it('keeps application values of the session, without losing concurrent changes', async () => {
    const { client } = await createServer();
    const session = await client.initialize();
    await Promise.all(Array.from({ length: 10 }, () => session.request('tools/call', { name: 'count' })));
    expect(textOf(await session.request('tools/call', { name: 'count' }))).toBe('11');
    const other = await client.initialize();
    expect(textOf(await other.request('tools/call', { name: 'count' }))).toBe('1');
  });

  it('that takes long becomes a stream', async () => {
    const gate = createGate<string>();
    const { engine } = await createTestEngine(
      { tools: [defineTool({ name: 'slow', handler: () => gate.passed })] },
      { limits: { streamAfterMs: 1 } },
    );
    const reply = await (
      await new TestClient(engine, alice).initialize()
    ).request('tools/call', { name: 'slow' });
    expect(reply.kind).toBe('stream');
    gate.open('done');
    expect((await reply.untilEnded()).messages.at(-1).result.content[0].text).toBe('done');
  });

  it('that takes too long is cancelled, and its handler told', async () => {
    const seen: string[] = [];
    const { engine } = await createTestEngine(
      {
        tools: [
          defineTool({
            name: 'slow',
            handler: (_, { signal }) =>
              new Promise((_resolve, reject) => {
                signal.addEventListener('abort', () => {
                  seen.push('aborted');
                  reject(new Error('stopped'));
                });
              }),
          }),
        ],
      },
      { limits: { streamAfterMs: 1, callTimeoutMs: 20 } },
    );
    const reply = await (
      await new TestClient(engine, alice).initialize()
    ).request('tools/call', { name: 'slow' });
    expect(reply.json).toMatchObject({
      id: 1,
      error: { message: 'The call took longer than this server allows' },
    });
    expect(seen).toEqual(['aborted']);
    expect(engine.calls.count).toBe(0);
  });
});

describe('logging/setLevel', () => {
  const levelsOf = async (level: string | undefined): Promise<string[]> => {
    const { client } = await createServer();
    const session = await client.initialize();
    if (level !== undefined)
      expect((await session.request('logging/setLevel', { level })).json.result).toEqual({});
    const reply = await session.request('tools/call', { name: 'levels' });
    if (reply.kind === 'full') return [];
    await reply.untilEnded();
    return reply.messages.flatMap(({ params }: Json) => (params === undefined ? [] : [params.level]));
  };

  it('decides which messages come; until then all do', async () => {
    expect(await levelsOf(undefined)).toEqual(['debug', 'info', 'warning', 'error']);
    expect(await levelsOf('warning')).toEqual(['warning', 'error']);
    expect(await levelsOf('emergency')).toEqual([]);
  });

  it('refuses what is no level', async () => {
    const { client } = await createServer();
    const session = await client.initialize();
    for (const level of ['loud', 3, undefined, 'toString'])
      expect((await session.request('logging/setLevel', { level })).json.error.code).toBe(-32602);
  });
});

describe('progress', () => {
  it('is told only to who asked, and only when it grows', async () => {
    const { client } = await createServer();
    const session = await client.initialize();
    expect((await session.request('tools/call', { name: 'progress' })).kind).toBe('full');
    const reply = await session.request('tools/call', { name: 'progress', _meta: { progressToken: 'p' } });
    await reply.untilEnded();
    const told = reply.messages.filter(({ method }: Json) => method === 'notifications/progress');
    expect(told.map(({ params }: Json) => params)).toEqual(
      [1, 2, 3].map((progress) => ({ progressToken: 'p', progress, total: 3 })),
    );
  });
});

describe('resource subscriptions', () => {
  it('are all kept when a client asks for several at once', async () => {
    const { engine, client } = await createServer();
    const session = await client.initialize();
    const uris = Array.from({ length: 20 }, (_, index) => `x://${index}`);
    await Promise.all(uris.map((uri) => session.request('resources/subscribe', { uri })));
    expect((await engine.sessions.load(session.id))?.subscriptions.toSorted()).toEqual(uris.toSorted());
    await Promise.all(uris.slice(5).map((uri) => session.request('resources/unsubscribe', { uri })));
    expect((await engine.sessions.load(session.id))?.subscriptions.toSorted()).toEqual(
      uris.slice(0, 5).toSorted(),
    );
  });

  it('are kept once each', async () => {
    const { engine, client } = await createServer();
    const session = await client.initialize();
    await session.request('resources/subscribe', { uri: 'x://r' });
    await session.request('resources/subscribe', { uri: 'x://r' });
    expect((await engine.sessions.load(session.id))?.subscriptions).toEqual(['x://r']);
  });

  it('have bounds, and passing one is the client’s fault', async () => {
    const { engine, client, shared } = await createServer();
    const session = await client.initialize();
    const subscribe = async (uri: unknown): Promise<number | undefined> =>
      (await session.request('resources/subscribe', { uri })).json.error?.code;
    expect(await subscribe(5)).toBe(-32602);
    expect(await subscribe(`x://${'a'.repeat(maxSubscribedUriLength)}`)).toBe(-32602);
    await shared.sessions.update(session.id, () => ({
      subscriptions: Array.from({ length: maxSubscriptions - 1 }, (_, index) => `x:${index}`),
    }));
    expect(await subscribe('x://last')).toBeUndefined();
    expect(await subscribe('x://more')).toBe(-32602);
    expect((await engine.sessions.load(session.id))?.subscriptions.length).toBe(maxSubscriptions);
    // The store's own bound on a record.
    await shared.sessions.update(session.id, () => ({ subscriptions: [] }));
    const long = (index: number): string => `x://${index}${'a'.repeat(2000)}`;
    let code: number | undefined;
    for (let index = 0; index < 60 && code === undefined; index += 1) code = await subscribe(long(index));
    expect(code).toBe(-32602);
  });

  it('do not exist where the server has no resources', async () => {
    const { engine } = await createTestEngine({ tools: definition.tools });
    const session = await new TestClient(engine, alice).initialize();
    for (const method of ['resources/subscribe', 'resources/unsubscribe'])
      expect((await session.request(method, { uri: 'x://r' })).json.error.code).toBe(-32601);
  });
});

describe('notifications and responses', () => {
  it('are accepted without a body', async () => {
    const { client } = await createServer();
    const session = await client.initialize();
    for (const reply of [
      await session.notify('notifications/initialized'),
      await session.notify('notifications/cancelled', { requestId: 'none' }),
      await session.notify('notifications/cancelled', {}),
      await session.notify('no/such'),
      await session.answer({ id: 'nobody-asked' }, {}),
      await session.answer({ id: 7 }, {}),
    ])
      expect(reply).toMatchObject({ status: 202, body: '' });
  });

  it('that are not JSON-RPC are refused with what is wrong, and the log line says so', async () => {
    const { client } = await createServer();
    const session = await client.initialize();
    for (const [body, code] of [
      ['{', -32700],
      ['', -32700],
      ['null', -32600],
      ['[]', -32600],
      ['{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600],
    ] as const) {
      const reply = await session.send({ body });
      expect([reply.status, reply.json.error.code]).toEqual([400, code]);
      expect(reply.log).toEqual({ error: 'protocol_error', rpcCode: code });
    }
  });
});

describe('DELETE', () => {
  it('ends the session and its calls', async () => {
    const gate = createGate<string>();
    const { engine } = await createTestEngine({
      tools: [defineTool({ name: 'wait', handler: () => gate.passed })],
    });
    const session = await new TestClient(engine, alice).initialize();
    const call = session.request('tools/call', { name: 'wait' });
    await until(() => engine.calls.count === 1, 'the call');
    expect(await session.end()).toMatchObject({ status: 204, body: '' });
    expect((await call).json.error.message).toBe('Session terminated');
    await expect(session.end()).rejects.toMatchObject({ code: 'session_unknown' });
    gate.open('too late');
    await settle();
    expect(engine.calls.count).toBe(0);
  });
});

describe('a batch', () => {
  const open = async (): Promise<Awaited<ReturnType<TestClient['initialize']>>> =>
    (await createServer()).client.initialize({ protocolVersion: '2025-03-26' });

  it('is answered by an array with every response exactly once, or by a stream that has each of them', async () => {
    const session = await open();
    const member = fc.record({
      say: fc.array(fc.constantFrom('a', 'b'), { maxLength: 2 }),
      kind: fc.constantFrom('echo', 'ping', 'unknown', 'notification'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(member, { minLength: 1, maxLength: 8 }), async (members) => {
        const body = members.map(({ kind, say }, id) => {
          if (kind === 'notification') return { jsonrpc: '2.0', method: 'notifications/whatever' };
          if (kind === 'ping') return toRequest(id, 'ping');
          if (kind === 'unknown') return toRequest(id, 'no/such');
          return toRequest(id, 'tools/call', { name: 'echo', arguments: { text: `t${id}`, say } });
        });
        const expected = members.flatMap(({ kind }, id) => (kind === 'notification' ? [] : [id]));
        const logs = members.flatMap(({ kind, say }) => (kind === 'echo' ? say : []));
        const reply = await session.send({ body });
        if (expected.length === 0) {
          expect(reply).toMatchObject({ status: 202, body: '' });
          return;
        }
        if (reply.kind === 'stream') await reply.untilEnded();
        const messages: Json[] = reply.kind === 'stream' ? [...reply.messages] : reply.json;
        const responses = messages.filter(({ method }) => method === undefined);
        expect(responses.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual(expected);
        for (const { id, result, error } of responses) {
          const { kind } = members[id] ?? { kind: 'none' };
          if (kind === 'echo') expect(result.content[0].text).toBe(`t${id}`);
          else if (kind === 'ping') expect(result).toEqual({});
          else expect(error.code).toBe(-32601);
        }
        const told = messages.flatMap(({ params }) => (params === undefined ? [] : [String(params.data)]));
        expect(told.toSorted()).toEqual(logs.toSorted());
        // A response is the last thing on the stream.
        expect(messages.at(-1)).not.toHaveProperty('method');
      }),
      { numRuns: 60 },
    );
  });

  it('subscribes to everything in it', async () => {
    const { engine, client } = await createServer();
    const session = await client.initialize({ protocolVersion: '2025-03-26' });
    await session.send({
      body: [1, 2, 3].map((id) => toRequest(id, 'resources/subscribe', { uri: `x://${id}` })),
    });
    expect((await engine.sessions.load(session.id))?.subscriptions).toEqual(['x://1', 'x://2', 'x://3']);
  });

  it.each(['2025-06-18', '2025-11-25'])('does not exist in %s', async (protocolVersion) => {
    const { client } = await createServer();
    const session = await client.initialize({ protocolVersion });
    const reply = await session.send({ body: [toRequest(1, 'ping')] });
    expect([reply.status, reply.json.error.code]).toEqual([400, -32600]);
  });

  it('is refused whole when it holds initialize or anything that is no message', async () => {
    const session = await open();
    for (const body of [
      [toRequest(1, 'initialize')],
      [toRequest(1, 'ping'), 5],
      [toRequest(1, 'ping'), []],
    ]) {
      const reply = await session.send({ body });
      expect([reply.status, reply.json.error.code]).toEqual([400, -32600]);
    }
  });
});

describe('what is authored', () => {
  it('fails without its text, which the log holds under the id that was told', async () => {
    const { engine, lines } = await createTestEngine({
      tools: [
        defineTool({
          name: 'leak',
          handler: () => {
            throw new Error('password is hunter2');
          },
        }),
      ],
      resources: [
        defineResource({
          name: 'leak',
          uri: 'x://leak',
          read: () => {
            throw new Error('password is hunter2');
          },
        }),
      ],
    });
    const session = await new TestClient(engine, alice).initialize();
    const call = await session.request('tools/call', { name: 'leak' });
    const read = await session.request('resources/read', { uri: 'x://leak' });
    expect(call.json.result.isError).toBe(true);
    expect(read.json.error.code).toBe(-32603);
    for (const reply of [call, read]) {
      expect(reply.body).not.toContain('hunter2');
      const requestId = /request ([\w-]+)\)/.exec(reply.body)?.[1];
      const line = lines.find(({ fields }) => fields['requestId'] === requestId);
      expect(line?.error).toMatchObject({ message: 'password is hunter2' });
    }
  });
});
