import { McpServer, requireScopes, Server } from '@modelcontextprotocol/server';
import { createRequire } from 'node:module';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { ProtocolError, UpstreamError } from '../errors.ts';
import type { DispatchTarget, Exchange } from '../mcp/dispatch-target.ts';
import { createSdkTarget } from './create-sdk-target.ts';
import {
  createExchange,
  createHostedServer,
  createPrincipal,
  createTestBox,
  waits,
} from './hosted-server.contract.ts';

const eras = ['legacy', 'modern'] as const;
const box = createTestBox();
let target: DispatchTarget;

beforeAll(async () => {
  target = await createSdkTarget(createHostedServer, { box });
});

afterEach(() => {
  waits.length = 0;
});

describe('what a hosted server says of itself', () => {
  it('is learned by asking it', () => {
    expect(target.serverInfo).toEqual({ name: 'hosted', version: '3.2.1', title: 'Hosted' });
    expect(target.instructions).toBe('Be kind.');
    expect(target.capabilities).toMatchObject({
      tools: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
      prompts: { listChanged: true },
      completions: {},
      logging: {},
    });
  });

  it('is learned of a low-level Server too', async () => {
    const lowLevel = await createSdkTarget(createLowLevelServer, { box });
    expect(lowLevel.serverInfo.name).toBe('low');
    expect(await ask(lowLevel, 'modern', 'tools/call', { name: 'any' })).toMatchObject({
      content: [{ text: 'low any' }],
    });
    expect(await ask(lowLevel, 'legacy', 'tools/call', { name: 'any' })).toMatchObject({
      content: [{ text: 'low any' }],
    });
  });

  it('is learned, and it is served, when the author’s copy of the SDK is another one than ours', async () => {
    const other = createRequire(import.meta.url)('@modelcontextprotocol/server') as {
      McpServer: typeof McpServer;
    };
    expect(other.McpServer).not.toBe(McpServer);
    const hosted = await createSdkTarget(
      () => registerHello(new other.McpServer({ name: 'other', version: '1' })),
      { box },
    );
    for (const era of eras) {
      const exchange = createExchange(era);
      expect(await ask(hosted, era, 'tools/call', { name: 'hello' }, exchange)).toMatchObject({
        content: [{ text: exchange.protocolVersion }],
      });
      await expect(ask(hosted, era, 'tools/call', { name: 'nope' })).rejects.toMatchObject({ code: -32602 });
    }
  });

  it('is reported when it takes long to build', async () => {
    const logger = { warn: vi.fn(), error: vi.fn() };
    let clock = 0;
    await createSdkTarget(createHostedServer, { box, logger, now: () => (clock += 2) });
    expect(logger.warn).toHaveBeenCalledWith(
      'sdk.factory_slow',
      expect.objectContaining({ fastestMs: 2, limitMs: 1 }),
    );
  });

  it('is not reported when it is quick', async () => {
    const logger = { warn: vi.fn(), error: vi.fn() };
    await createSdkTarget(createHostedServer, { box, logger, now: () => 0 });
    expect(logger.warn).not.toHaveBeenCalled();
  });

  it('is reported when it refuses a revision, and a session of that revision gets an error', async () => {
    const logger = { warn: vi.fn(), error: vi.fn() };
    const options = { supportedProtocolVersions: ['2025-11-25'], capabilities: { tools: {} } };
    const strict = await createSdkTarget(() => new McpServer({ name: 'strict', version: '1' }, options), {
      box,
      logger,
    });
    expect(logger.warn).toHaveBeenCalledWith('sdk.version_refused', { version: '2025-03-26' });
    const old = createExchange('legacy', { protocolVersion: '2025-03-26' });
    await expect(strict.dispatch({ method: 'tools/list', params: {} }, old)).rejects.toMatchObject({
      code: -32022,
    });
  });
});

describe('a factory', () => {
  it('that fails is the hosted server’s fault', async () => {
    const failing = (): never => {
      throw new Error('no database');
    };
    await expect(createSdkTarget(failing, { box })).rejects.toBeInstanceOf(UpstreamError);
  });

  it('that returns something else is refused at the start', async () => {
    await expect(createSdkTarget((() => ({})) as never, { box })).rejects.toThrow(
      /must return a new McpServer/,
    );
  });

  it('that returns one instance for all is refused at the start', async () => {
    const shared = new McpServer({ name: 'shared', version: '1' });
    await expect(createSdkTarget(() => shared, { box })).rejects.toThrow(/returned before/);
  });

  it('learns the era and the caller', async () => {
    const contexts: unknown[] = [];
    const told = await createSdkTarget(
      (context) => {
        contexts.push(context);
        return createHostedServer();
      },
      { box },
    );
    contexts.length = 0;
    await ask(told, 'modern', 'tools/list', {});
    expect(contexts).toEqual([
      { era: 'modern', authInfo: expect.objectContaining({ clientId: 'key-alice' }) },
    ]);
  });
});

describe.each(eras)('in the %s era', (era) => {
  it('tools are listed, called, and fail as the SDK tells it', async () => {
    const { tools } = await ask(target, era, 'tools/list', {});
    expect(tools).toEqual(expect.arrayContaining([expect.objectContaining({ name: 'greet' })]));
    expect(await ask(target, era, 'tools/call', { name: 'greet', arguments: { who: 'Bo' } })).toMatchObject({
      content: [{ text: 'Hello, Bo' }],
    });
    expect(await ask(target, era, 'tools/call', { name: 'sum' })).toMatchObject({
      structuredContent: { total: 3 },
    });
    expect(await ask(target, era, 'tools/call', { name: 'fail' })).toMatchObject({
      isError: true,
      content: [{ text: 'out of paper' }],
    });
  });

  it('errors keep their code, text and data', async () => {
    await expect(ask(target, era, 'tools/call', { name: 'nope' })).rejects.toMatchObject({
      code: -32602,
      message: 'Tool nope not found',
    });
    await expect(ask(target, era, 'resources/read', { uri: 'test://nope' })).rejects.toMatchObject({
      code: -32602,
      data: { uri: 'test://nope' },
    });
    await expect(ask(target, era, 'acme/unknown', {})).rejects.toMatchObject({ code: -32601 });
    await expect(ask(target, era, 'acme/unknown', {})).rejects.toBeInstanceOf(ProtocolError);
  });

  it('resources, prompts, completions and custom methods answer', async () => {
    expect(await ask(target, era, 'resources/list', {})).toMatchObject({
      resources: [{ uri: 'test://fixed' }],
    });
    expect(await ask(target, era, 'resources/templates/list', {})).toMatchObject({
      resourceTemplates: [{ uriTemplate: 'test://each/{id}' }],
    });
    expect(await ask(target, era, 'resources/read', { uri: 'test://each/7' })).toMatchObject({
      contents: [{ text: 'item 7' }],
    });
    expect(
      await ask(target, era, 'prompts/get', { name: 'write', arguments: { language: 'python' } }),
    ).toMatchObject({
      messages: [{ content: { text: 'Write python' } }],
    });
    const ref = { type: 'ref/prompt', name: 'write' };
    expect(
      await ask(target, era, 'completion/complete', { ref, argument: { name: 'language', value: 'py' } }),
    ).toMatchObject({
      completion: { values: ['python'] },
    });
    expect(await ask(target, era, 'acme/echo', { value: 'x' })).toMatchObject({ echoed: 'x' });
  });

  it('handlers know the caller and the client, and never the token', async () => {
    const exchange = createExchange(era);
    const seen = JSON.parse(
      textOf(await ask(target, era, 'tools/call', { name: 'caller' }, exchange)),
    ) as Record<string, unknown>;
    expect(seen).toMatchObject({
      authInfo: {
        token: '',
        clientId: 'key-alice',
        scopes: ['notes:read'],
        expiresAt: 2_000_000_000,
        extra: { principal: exchange.principal },
      },
      client: { name: 'test-client', version: '1.2.3' },
      capabilities: exchange.clientCapabilities,
      version: exchange.protocolVersion,
    });
    expect(seen['sessionId']).toBe(era === 'legacy' ? 'session-1' : undefined);
  });

  it('notifications of a call go with it, log messages only at the wanted level', async () => {
    const exchange = createExchange(era, { logLevel: 'warning' });
    await ask(target, era, 'tools/call', { name: 'talk', _meta: { progressToken: 'p' } }, exchange);
    expect(exchange.notifications).toEqual([
      {
        jsonrpc: '2.0',
        method: 'notifications/progress',
        params: { progressToken: 'p', progress: 1, total: 2 },
      },
      { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'warning', data: 'mind the gap' } },
      { jsonrpc: '2.0', method: 'acme/said', params: { word: 'hi' } },
    ]);
  });

  it('no log message goes to a client that wants none', async () => {
    const exchange = createExchange(era, { logLevel: undefined });
    await ask(target, era, 'tools/call', { name: 'talk' }, exchange);
    expect(exchange.notifications.map(({ method }) => method)).not.toContain('notifications/message');
  });

  it('changes are published to the caller’s tenant before the answer', async () => {
    const exchange = createExchange(era);
    await ask(target, era, 'tools/call', { name: 'change' }, exchange);
    const tenantId = 'tenant-alice';
    expect(exchange.changes).toEqual([
      { kind: 'list_changed', list: 'tools', tenantId },
      { kind: 'list_changed', list: 'prompts', tenantId },
      { kind: 'list_changed', list: 'resources', tenantId },
      { kind: 'resource_updated', uri: 'test://fixed', tenantId },
    ]);
    expect(exchange.notifications).toEqual([]);
  });

  it('a call does not fail because a change could not be published', async () => {
    const logger = { warn: vi.fn(), error: vi.fn() };
    const watched = await createSdkTarget(createHostedServer, { box, logger });
    const publish = (): Promise<void> => Promise.reject(new Error('bus is down'));
    expect(
      await ask(watched, era, 'tools/call', { name: 'change' }, createExchange(era, { publish })),
    ).toMatchObject({ content: [{ text: 'changed' }] });
    expect(logger.error).toHaveBeenCalledWith(
      'sdk.publish_failed',
      { requestId: 'request-1' },
      expect.any(Error),
    );
  });

  it('cancelling ends the call and reaches the handler with its reason', async () => {
    const controller = new AbortController();
    const call = ask(
      target,
      era,
      'tools/call',
      { name: 'wait' },
      createExchange(era, { signal: controller.signal }),
    );
    await vi.waitFor(() => expect(waits).toEqual(['started']));
    controller.abort();
    await expect(call).rejects.toMatchObject({ message: 'Request cancelled' });
    await vi.waitFor(() => expect(waits).toEqual(['started', 'Request cancelled']));
  });

  it('a handler that has answered is not told that its call was aborted', async () => {
    expect(await ask(target, era, 'tools/call', { name: 'listen' })).toMatchObject({ content: [] });
    await setTimeout(20);
    expect(waits).toEqual([]);
  });

  it('a call that was cancelled before it began never runs', async () => {
    await expect(
      ask(target, era, 'tools/call', { name: 'wait' }, createExchange(era, { signal: AbortSignal.abort() })),
    ).rejects.toThrow('Request cancelled');
    expect(waits).toEqual([]);
  });

  it('a client’s notification reaches the server', async () => {
    const exchange = createExchange(era);
    target.notified?.({ jsonrpc: '2.0', method: 'acme/poke', params: { uri: 'test://poked' } }, exchange);
    await vi.waitFor(() =>
      expect(exchange.changes).toEqual([
        { kind: 'resource_updated', uri: 'test://poked', tenantId: 'tenant-alice' },
      ]),
    );
  });

  it('scopes that an operation declares are required', async () => {
    const scoped = await createSdkTarget(createScopedServer, {
      box,
      resourceMetadataUrl: 'https://a.example/.well-known/x',
    });
    await expect(ask(scoped, era, 'tools/call', { name: 'write' })).rejects.toMatchObject({
      code: 'forbidden',
      headers: {
        'WWW-Authenticate':
          'Bearer error="insufficient_scope", error_description="Insufficient scope", scope="notes:write", resource_metadata="https://a.example/.well-known/x"',
      },
    });
    const principal = { ...createPrincipal('alice'), scopes: ['notes:write'] };
    expect(
      await ask(scoped, era, 'tools/call', { name: 'write' }, createExchange(era, { principal })),
    ).toMatchObject({ content: [] });
  });
});

function createLowLevelServer(): Server {
  const server = new Server({ name: 'low', version: '1' }, { capabilities: { tools: {} } });
  server.setRequestHandler('tools/list', () => ({ tools: [] }));
  server.setRequestHandler('tools/call', ({ params }) => ({
    content: [{ type: 'text', text: `low ${params.name}` }],
  }));
  return server;
}

function registerHello(server: McpServer): McpServer {
  server.registerTool('hello', {}, () => ({
    content: [{ type: 'text', text: server.server.getNegotiatedProtocolVersion() ?? 'none' }],
  }));
  return server;
}

function createScopedServer(): McpServer {
  const server = new McpServer({ name: 'scoped', version: '1' });
  const scopeChallenge = requireScopes('notes:write');
  server.registerTool('write', { inputSchema: z.object({}), scopeChallenge }, () => ({ content: [] }));
  return server;
}

async function ask(
  to: DispatchTarget,
  era: 'modern' | 'legacy',
  method: string,
  params: Record<string, unknown>,
  exchange: Exchange = createExchange(era),
): Promise<Record<string, unknown>> {
  return JSON.parse(await to.dispatch({ method, params }, exchange)) as Record<string, unknown>;
}

function textOf(result: Record<string, unknown>): string {
  return (result['content'] as readonly { readonly text: string }[])[0]?.text ?? '';
}
