/** What the tests of this folder share: an exchange that records, and servers to host. */
import {
  McpServer,
  ResourceTemplate,
  completable,
  fromJsonSchema,
  inputRequired,
} from '@modelcontextprotocol/server';
import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import type { Principal } from '../auth/principal.ts';
import type { ClientQuestion, Exchange, ServerChange } from '../mcp/dispatch-target.ts';
import type { HandlerFailure } from '../mcp/handler-failure.ts';
import type { JsonRpcNotification } from '../mcp/protocol-types.ts';
import { createSealedBox, type SealedBox } from '../mcp/sealed-box.ts';

/** An exchange whose ways back are lists. */
export interface RecordingExchange extends Exchange {
  readonly notifications: JsonRpcNotification[];
  readonly questions: ClientQuestion[];
  readonly changes: ServerChange[];
  readonly releases: (number | undefined)[];
  readonly failures: HandlerFailure[];
}

/** A box with a key of its own. */
export function createTestBox(): SealedBox {
  return createSealedBox({ keys: [{ id: 'test', key: randomBytes(32) }] });
}

/** Makes an exchange; what `parts` says wins. */
export function createExchange(era: 'modern' | 'legacy', parts: Partial<Exchange> = {}): RecordingExchange {
  const notifications: JsonRpcNotification[] = [];
  const questions: ClientQuestion[] = [];
  const changes: ServerChange[] = [];
  const releases: (number | undefined)[] = [];
  const failures: HandlerFailure[] = [];
  return {
    era,
    protocolVersion: era === 'modern' ? '2026-07-28' : '2025-11-25',
    id: 1,
    requestId: 'request-1',
    principal: createPrincipal('alice'),
    clientInfo: { name: 'test-client', version: '1.2.3' },
    clientCapabilities: { elicitation: { form: {}, url: {} }, sampling: {}, roots: { listChanged: true } },
    logLevel: 'debug',
    session: era === 'legacy' ? createSession() : undefined,
    handles: { seal: () => 'unused', open: () => undefined as never },
    signal: new AbortController().signal,
    parameterHeaders: era === 'modern' ? {} : undefined,
    enter: () => undefined,
    notify: (notification) => void notifications.push(notification),
    ask: async (question) => {
      questions.push(question);
      return { action: 'accept', content: { name: 'Ada' } };
    },
    recall: () => undefined,
    remember: () => undefined,
    publish: async (change) => void changes.push(change),
    report: (failure) => void failures.push(failure),
    releaseConnection: (retryMs) => void releases.push(retryMs),
    ...parts,
    notifications,
    questions,
    changes,
    releases,
    failures,
  };
}

/** A key's principal in a tenant of its own. */
export function createPrincipal(name: string): Principal {
  return {
    kind: 'key',
    subject: `subject-${name}`,
    credentialId: `key-${name}`,
    tenantIds: [`tenant-${name}`],
    activeTenantId: `tenant-${name}`,
    role: 'merchant',
    scopes: ['notes:read'],
    expiresAt: 2_000_000_000_500,
  };
}

const greeting = z.object({ who: z.string() });
const sum = z.object({ total: z.number() });
const named = z.object({
  language: completable(z.string(), (value) => ['typescript', 'python'].filter((it) => it.startsWith(value))),
});
// The SDK's type of a JSON Schema does not know the annotation.
const annotated = { type: 'string' as const, 'x-mcp-header': 'Region' };
const routed = fromJsonSchema<{ region: string }>({
  type: 'object',
  properties: { region: annotated },
  required: ['region'],
});
const askForName = {
  message: 'Who?',
  requestedSchema: {
    type: 'object' as const,
    properties: { name: { type: 'string' as const } },
    required: ['name'],
  },
};

/** A server with one of everything, written as its author would for the SDK alone. */
export function createHostedServer(): McpServer {
  const server = new McpServer(
    { name: 'hosted', version: '3.2.1', title: 'Hosted' },
    { instructions: 'Be kind.', capabilities: { logging: {}, resources: { subscribe: true } } },
  );
  registerPlain(server);
  registerTalking(server);
  registerAsking(server);
  server.server.setRequestHandler('acme/echo', { params: z.object({ value: z.string() }) }, ({ value }) => ({
    echoed: value,
  }));
  server.server.setNotificationHandler(
    'acme/poke',
    { params: z.object({ uri: z.string() }) },
    async ({ uri }) => {
      await server.server.sendResourceUpdated({ uri });
    },
  );
  return server;
}

function registerPlain(server: McpServer): void {
  server.registerTool('greet', { inputSchema: greeting }, ({ who }) => text(`Hello, ${who}`));
  server.registerTool('sum', { outputSchema: sum }, () => ({ content: [], structuredContent: { total: 3 } }));
  server.registerTool('route', { inputSchema: routed }, ({ region }) => text(region));
  server.registerTool('fail', {}, () => {
    throw new Error('out of paper');
  });
  server.registerTool('caller', {}, (ctx) =>
    text({
      authInfo: ctx.http?.authInfo,
      sessionId: ctx.sessionId,
      client: server.server.getClientVersion(),
      capabilities: server.server.getClientCapabilities(),
      version: server.server.getNegotiatedProtocolVersion(),
      state: ctx.mcpReq.requestState(),
    }),
  );
  server.registerResource('fixed', 'test://fixed', {}, (uri) => ({
    contents: [{ uri: uri.href, text: 'fixed' }],
  }));
  server.registerResource(
    'each',
    new ResourceTemplate('test://each/{id}', { list: undefined }),
    {},
    (uri, { id }) => ({
      contents: [{ uri: uri.href, text: `item ${String(id)}` }],
    }),
  );
  server.registerPrompt('write', { argsSchema: named }, ({ language }) => ({
    messages: [{ role: 'user', content: { type: 'text', text: `Write ${language}` } }],
  }));
}

function registerTalking(server: McpServer): void {
  server.registerTool('talk', {}, async (ctx) => {
    const progressToken = ctx.mcpReq._meta?.progressToken ?? 'none';
    await ctx.mcpReq.notify({
      method: 'notifications/progress',
      params: { progressToken, progress: 1, total: 2 },
    });
    await ctx.mcpReq.log('debug', 'fine print');
    await ctx.mcpReq.log('warning', 'mind the gap');
    await ctx.mcpReq.notify({ method: 'acme/said', params: { word: 'hi' } });
    return text('said');
  });
  server.registerTool('change', {}, async () => {
    server.sendToolListChanged();
    server.sendPromptListChanged();
    server.sendResourceListChanged();
    await server.server.sendResourceUpdated({ uri: 'test://fixed' });
    return text('changed');
  });
  server.registerTool(
    'wait',
    {},
    (ctx) =>
      new Promise((resolve) => {
        ctx.mcpReq.signal.addEventListener('abort', () => {
          waits.push(String(ctx.mcpReq.signal.reason));
          resolve(text('never sent'));
        });
        waits.push('started');
      }),
  );
  server.registerTool('listen', {}, (ctx) => {
    ctx.mcpReq.signal.addEventListener('abort', () => waits.push('aborted'));
    return { content: [] };
  });
  server.registerTool('release', {}, (ctx) => {
    ctx.http?.closeSSE?.();
    return text('released');
  });
}

/** What the `wait` tool went through. */
export const waits: string[] = [];

function registerAsking(server: McpServer): void {
  server.registerTool('elicit', {}, async (ctx) =>
    text(await ctx.mcpReq.elicitInput({ mode: 'form', ...askForName })),
  );
  server.registerTool('sample', {}, async (ctx) =>
    text(
      await ctx.mcpReq.requestSampling({
        maxTokens: 5,
        messages: [{ role: 'user', content: { type: 'text', text: 'Hi' } }],
      }),
    ),
  );
  server.registerTool('roots', {}, async () => text(await server.server.listRoots()));
  server.registerTool('ping', {}, async () => text(await server.server.ping()));
  server.registerTool('sign', { inputSchema: greeting }, ({ who }, ctx) => {
    const answer = ctx.mcpReq.inputResponses?.['name'] as { content?: { name?: string } } | undefined;
    if (answer === undefined) {
      return inputRequired({
        inputRequests: { name: inputRequired.elicit(askForName) },
        requestState: `asked for ${who}`,
      });
    }
    return text(`${ctx.mcpReq.requestState<string>() ?? 'no state'}: ${answer.content?.name ?? 'nobody'}`);
  });
}

function text(value: unknown): { content: { type: 'text'; text: string }[] } {
  return { content: [{ type: 'text', text: typeof value === 'string' ? value : JSON.stringify(value) }] };
}

function createSession(): NonNullable<Exchange['session']> {
  const absent = async (): Promise<never> => {
    throw new Error('a hosted server has no application values');
  };
  return { id: 'session-1', get: absent, set: absent, delete: absent, update: absent };
}
