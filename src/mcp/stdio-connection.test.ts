import { PassThrough } from 'node:stream';
import { describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { type ServerDefinitionInput, defineResource, defineTool } from './server-definition.ts';
import { serveStdio } from './stdio-connection.ts';
import {
  createGate,
  createSharedStores,
  createTestEngine,
  settle,
  type TestEngine,
  type TestEngineOptions,
  until,
} from './test-engine.contract.ts';

// Messages are looked at field by field.
// oxlint-disable-next-line typescript/no-explicit-any
type Json = any;

interface Connection extends TestEngine {
  readonly received: Json[];
  send(message: unknown): void;
  sendText(text: string): void;
  response(id: string | number): Promise<Json>;
  initialize(protocolVersion?: string, capabilities?: object): Promise<Json>;
  /** Ends the input. Resolves when the server is done. */
  end(): Promise<void>;
}

const modernMeta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': { elicitation: {} },
};

async function connect(
  definition: Partial<ServerDefinitionInput>,
  options: TestEngineOptions & { maxMessageBytes?: number; graceMs?: number } = {},
): Promise<Connection> {
  const made = await createTestEngine(definition, options);
  const input = new PassThrough();
  const output = new PassThrough();
  const received: Json[] = [];
  let rest = '';
  output.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('utf8')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) received.push(JSON.parse(line));
  });
  const { maxMessageBytes = 100_000, graceMs = 2000 } = options;
  const done = serveStdio({ engine: made.engine, input, output, maxMessageBytes, graceMs });
  const connection: Connection = {
    ...made,
    received,
    send: (message) => {
      input.write(`${JSON.stringify(message)}\n`);
    },
    sendText: (text) => {
      input.write(text);
    },
    response: async (id) => {
      const isIt = (message: Json): boolean => message.id === id && message.method === undefined;
      await until(() => received.some(isIt), `the response to ${id}`);
      return received.find(isIt);
    },
    initialize: async (protocolVersion = '2025-11-25', capabilities = {}) => {
      connection.send({
        jsonrpc: '2.0',
        id: 'init',
        method: 'initialize',
        params: { protocolVersion, capabilities, clientInfo: { name: 'c', version: '1' } },
      });
      const { result } = await connection.response('init');
      return result;
    },
    end: () => {
      input.end();
      return done;
    },
  };
  return connection;
}

const request = (id: string | number, method: string, params: object = {}): object => ({
  jsonrpc: '2.0',
  id,
  method,
  params,
});
const modern = (id: string | number, method: string, params: object = {}, meta: object = {}): object =>
  request(id, method, { ...params, _meta: { ...modernMeta, ...meta } });

const echo = defineTool({
  name: 'echo',
  input: z.object({ text: z.string() }),
  handler: ({ text }, context) => {
    context.log('info', `log ${text}`);
    return text;
  },
});
const resource = defineResource({ name: 'r', uri: 'x://r', read: () => 'text' });

describe('a connection', () => {
  it('serves both eras, message by message', async () => {
    const connection = await connect({ tools: [echo] });
    connection.send(modern(1, 'tools/call', { name: 'echo', arguments: { text: 'modern' } }));
    expect((await connection.response(1)).result).toMatchObject({
      resultType: 'complete',
      content: [{ text: 'modern' }],
    });
    expect((await connection.initialize()).protocolVersion).toBe('2025-11-25');
    connection.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    connection.send(request(2, 'tools/call', { name: 'echo', arguments: { text: 'legacy' } }));
    const { result } = await connection.response(2);
    expect(result.content[0].text).toBe('legacy');
    expect(result).not.toHaveProperty('resultType');
    connection.send(modern(3, 'server/discover'));
    expect((await connection.response(3)).result.supportedVersions).toContain('2026-07-28');
    // Only the session hears logs without naming a level.
    expect(
      connection.received.filter(({ method }) => method !== undefined).map(({ params }) => params.data),
    ).toEqual(['log legacy']);
    await connection.end();
  });

  it('wants initialize before a request without its own metadata, but answers a ping', async () => {
    const connection = await connect({ tools: [echo] });
    connection.send(request(1, 'tools/list'));
    expect((await connection.response(1)).error).toMatchObject({ code: -32600 });
    connection.send(request(2, 'ping'));
    expect((await connection.response(2)).result).toEqual({});
    await connection.end();
  });

  it('answers what it cannot read and goes on', async () => {
    const connection = await connect({ tools: [echo] }, { maxMessageBytes: 500 });
    connection.sendText('{"jsonrpc":\n\n  \n');
    connection.sendText(`{"jsonrpc":"2.0","id":1,"method":"${'x'.repeat(600)}"}\n`);
    connection.sendText('{"jsonrpc":"1.0","id":2,"method":"ping"}\n');
    connection.send(modern(3, 'server/discover'));
    await connection.response(3);
    expect(connection.received.slice(0, 3).map(({ id, error }) => [id, error.code])).toEqual([
      [undefined, -32700],
      [undefined, -32600],
      [2, -32600],
    ]);
    await connection.end();
  });

  it('reads messages however they are cut, and characters of several bytes', async () => {
    const connection = await connect({ tools: [echo] });
    const text = 'Grüße 世界 🎉';
    const bytes = Buffer.from(
      `${JSON.stringify(modern(1, 'tools/call', { name: 'echo', arguments: { text } }))}\r\n`,
    );
    const input = new PassThrough();
    const output = new PassThrough();
    const done = serveStdio({
      engine: connection.engine,
      input,
      output,
      maxMessageBytes: 1000,
      graceMs: 1000,
    });
    for (const byte of bytes) input.write(Buffer.from([byte]));
    input.end();
    await done;
    expect(JSON.parse(String(output.read())).result.content[0].text).toBe(text);
    await connection.end();
  });

  it('answers what is under way when the input ends', async () => {
    const gate = createGate<string>();
    const wait = defineTool({ name: 'wait', handler: () => gate.passed });
    const connection = await connect({ tools: [wait] });
    await connection.initialize();
    connection.send(request(1, 'tools/call', { name: 'wait' }));
    connection.send(modern(2, 'tools/call', { name: 'wait' }));
    await until(() => connection.engine.calls.count === 2, 'both calls');
    const done = connection.end();
    gate.open('late');
    await done;
    expect(connection.received.slice(1).map(({ id, result }) => [id, result.content[0].text])).toEqual([
      [1, 'late'],
      [2, 'late'],
    ]);
  });

  it('waits no longer than it is given, and tells that the outcome is unknown', async () => {
    const stuck = defineTool({ name: 'stuck', handler: () => new Promise<string>(() => {}) });
    const connection = await connect({ tools: [stuck] }, { graceMs: 10 });
    connection.send(modern(1, 'tools/call', { name: 'stuck' }));
    await until(() => connection.engine.calls.count === 1, 'the call');
    await connection.end();
    expect((await connection.response(1)).error.message).toMatch(/stopping/);
  });

  it('keeps its session for as long as it is open, however long nothing is said', async () => {
    let now = 1_000_000;
    const shared = createSharedStores({ now: () => now });
    const load = vi.spyOn(shared.sessions, 'load');
    const connection = await connect(
      { tools: [echo] },
      { shared, now: () => now, limits: { keepAliveMs: 2, sessionTtlMs: 3_600_000 } },
    );
    await connection.initialize();
    for (let step = 0; step < 10; step += 1) {
      // The store's idle time is an hour.
      now += 40 * 60_000;
      const { length } = load.mock.calls;
      await until(() => load.mock.calls.length > length, 'a touch');
    }
    connection.send(request(1, 'tools/list'));
    expect((await connection.response(1)).result.tools.length).toBe(1);
    await connection.end();
  });

  it('can be initialized again; calls of the new session are not those of the old', async () => {
    const gate = createGate<string>();
    const wait = defineTool({ name: 'wait', handler: () => gate.passed });
    const connection = await connect({ tools: [wait] });
    await connection.initialize();
    connection.send(request(1, 'tools/call', { name: 'wait' }));
    await until(() => connection.engine.calls.count === 1, 'the first call');
    connection.send({
      jsonrpc: '2.0',
      id: 'again',
      method: 'initialize',
      params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'c', version: '1' } },
    });
    connection.send(request(2, 'tools/call', { name: 'wait' }));
    expect((await connection.response(1)).error.message).toBe('Session terminated');
    await settle();
    gate.open('done');
    expect((await connection.response(2)).result.content[0].text).toBe('done');
    await connection.end();
  });

  it('ends its session with its input', async () => {
    const connection = await connect({ tools: [echo] });
    await connection.initialize();
    await connection.end();
    expect(connection.engine.streams.count).toBe(0);
    expect(connection.engine.calls.count).toBe(0);
  });
});

describe('a cancelled request', () => {
  it('gets no response and no more notifications, in either era', async () => {
    const gate = createGate();
    const seen: string[] = [];
    const wait = defineTool({
      name: 'wait',
      handler: async (_, context) => {
        context.signal.addEventListener('abort', () => seen.push('aborted'));
        await gate.passed;
        context.log('error', 'too late');
        seen.push('returned');
        return 'too late';
      },
    });
    const connection = await connect({ tools: [wait] });
    await connection.initialize();
    connection.send(request(1, 'tools/call', { name: 'wait' }));
    connection.send(
      modern('two', 'tools/call', { name: 'wait' }, { 'io.modelcontextprotocol/logLevel': 'debug' }),
    );
    await until(() => connection.engine.calls.count === 2, 'both calls');
    for (const requestId of [1, 'two'])
      connection.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } });
    await until(() => seen.length === 2, 'both aborts');
    gate.open();
    await until(() => seen.filter((word) => word === 'returned').length === 2, 'both handlers');
    connection.send(request(3, 'ping'));
    await connection.response(3);
    expect(connection.received.map(({ id }) => id)).toEqual(['init', 3]);
    // The id may be used again.
    connection.send(request(1, 'ping'));
    expect((await connection.response(1)).result).toEqual({});
    await connection.end();
  });
});

describe('questions', () => {
  it('are requests to a session and results to a stateless request', async () => {
    const ask = defineTool({
      name: 'ask',
      handler: async (_, context) => {
        const answer = await context.elicit('Name?', z.object({ name: z.string() }));
        return answer.action === 'accept' ? answer.content.name : answer.action;
      },
    });
    const connection = await connect({ tools: [ask] });
    await connection.initialize('2025-11-25', { elicitation: {} });
    connection.send(request(1, 'tools/call', { name: 'ask' }));
    const isQuestion = ({ method }: Json): boolean => method === 'elicitation/create';
    await until(() => connection.received.some(isQuestion), 'the question');
    const { id } = connection.received.find(isQuestion);
    connection.send({ jsonrpc: '2.0', id, result: { action: 'accept', content: { name: 'Ada' } } });
    expect((await connection.response(1)).result.content[0].text).toBe('Ada');
    connection.send(modern(2, 'tools/call', { name: 'ask' }));
    const { result } = await connection.response(2);
    expect(result.resultType).toBe('input_required');
    const answer = {
      requestState: result.requestState,
      inputResponses: { 'question-1': { action: 'decline' } },
    };
    connection.send(modern(3, 'tools/call', { name: 'ask', ...answer }));
    expect((await connection.response(3)).result.content[0].text).toBe('decline');
    await connection.end();
  });
});

describe('a batch', () => {
  it('is answered in 2025-03-26 and refused in later revisions', async () => {
    const connection = await connect({ tools: [echo] });
    await connection.initialize('2025-03-26');
    connection.send([
      request(1, 'ping'),
      { jsonrpc: '2.0', method: 'notifications/whatever' },
      request(2, 'no/such'),
    ]);
    await until(() => connection.received.length === 2, 'the batch');
    expect(connection.received[1]).toMatchObject([
      { id: 1, result: {} },
      { id: 2, error: { code: -32601 } },
    ]);
    await connection.initialize('2025-06-18');
    connection.send([request(4, 'ping')]);
    await until(() => connection.received.at(-1).error !== undefined, 'the refusal');
    expect(connection.received.at(-1).error.code).toBe(-32600);
    await connection.end();
  });
});

describe('changes', () => {
  const changed = { kind: 'list_changed', list: 'tools', tenantId: undefined } as const;
  const updated = { kind: 'resource_updated', uri: 'x://r', tenantId: 'local' } as const;

  it('reach a session as soon as it has subscribed', async () => {
    const connection = await connect({ tools: [echo], resources: [resource] });
    await connection.initialize();
    await connection.engine.changes.publish(updated);
    connection.send(request(1, 'resources/subscribe', { uri: 'x://r' }));
    await connection.response(1);
    await connection.engine.changes.publish(updated);
    await until(() => connection.received.length >= 3, 'the update');
    await connection.engine.changes.publish(changed);
    await connection.engine.changes.publish({ ...changed, tenantId: 'someone-else' });
    await until(() => connection.received.length >= 4, 'the list change');
    connection.send(request(2, 'resources/unsubscribe', { uri: 'x://r' }));
    await connection.response(2);
    await connection.engine.changes.publish(updated);
    await settle();
    expect(connection.received.flatMap(({ method }) => method ?? [])).toEqual([
      'notifications/resources/updated',
      'notifications/tools/list_changed',
    ]);
    await connection.end();
  });

  it('reach each stateless subscription under its own id, until it is cancelled', async () => {
    const connection = await connect({ tools: [echo], resources: [resource] });
    const key = 'io.modelcontextprotocol/subscriptionId';
    connection.send(modern(1, 'subscriptions/listen', { notifications: { toolsListChanged: true } }));
    connection.send(
      modern('b', 'subscriptions/listen', { notifications: { resourceSubscriptions: ['x://r'] } }),
    );
    await until(() => connection.received.length === 2, 'both acknowledgements');
    await connection.engine.changes.publish(changed);
    await connection.engine.changes.publish(updated);
    await until(() => connection.received.length === 4, 'both changes');
    expect(connection.received.slice(2).map(({ params }) => params._meta[key])).toEqual([1, 'b']);
    connection.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } });
    await until(() => connection.engine.streams.count === 1, 'the cancellation');
    await connection.engine.changes.publish(changed);
    await connection.engine.changes.publish(updated);
    await until(() => connection.received.length === 5, 'the other change');
    await settle();
    expect(connection.received.length).toBe(5);
    await connection.end();
    expect(connection.engine.streams.count).toBe(0);
  });
});
