import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { McpServer } from '@modelcontextprotocol/server';
import { describe, expect, it, onTestFinished } from 'vitest';
import * as z from 'zod';
import { loadConfig } from './config/load-config.ts';
import { createHost, type Host, type HostOptions } from './host.ts';
import {
  defineResource,
  defineServer,
  defineTool,
  type ServerDefinitionInput,
} from './mcp/server-definition.ts';
import { createLogger } from './telemetry/logger.ts';

const origin = 'http://127.0.0.1:8080';
const silent = createLogger({ level: 'silent' });

const echo = defineTool({
  name: 'echo',
  input: z.object({ text: z.string() }),
  handler: ({ text }) => text,
});

interface TestHost {
  readonly host: Host;
  /** Posts one message with the first key. */
  post(message: object, headers?: Record<string, string>): Promise<Response>;
}

async function createTestHost(
  server: HostOptions['server'],
  environment: Record<string, string> = {},
): Promise<TestHost> {
  const workingDir = mkdtempSync(join(tmpdir(), 'mooring-host-'));
  const loaded = await loadConfig({
    environment: { SHUTDOWN_DELAY_MS: '0', SHUTDOWN_GRACE_MS: '1000', PORT: '0', ...environment },
    workingDir,
  });
  const host = await createHost({ server, ...loaded, logger: silent });
  onTestFinished(async () => {
    await host.close();
    rmSync(workingDir, { recursive: true, force: true });
  });
  const post = async (message: object, headers: Record<string, string> = {}): Promise<Response> => {
    if (host.firstRun === undefined) await host.fetch(new Request(`${origin}/health`));
    return host.fetch(
      new Request(`${origin}/mcp`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${host.firstRun?.secret}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...headers,
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...message }),
      }),
    );
  };
  return { host, post };
}

const define = (input: Partial<ServerDefinitionInput> = {}): HostOptions['server'] =>
  defineServer({ name: 'test', version: '1', tools: [echo], ...input });

const modernMeta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};
const callModern = ({ post }: TestHost, name: string, args: object): Promise<Response> =>
  post(
    { method: 'tools/call', params: { name, arguments: args, _meta: modernMeta } },
    { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': name },
  );
const initialize = {
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } },
};

/** Reads a reply's stream until it holds a text. */
async function readUntil(reply: Response, text: string): Promise<string> {
  const reader = reply.body?.pipeThrough(new TextDecoderStream()).getReader();
  let read = '';
  while (reader !== undefined && !read.includes(text)) {
    const { value, done } = await reader.read();
    if (done) break;
    read += value;
  }
  return read;
}

describe('a host', () => {
  it('answers both eras through fetch, without listening', async () => {
    const test = await createTestHost(define());
    const modern = await callModern(test, 'echo', { text: 'modern' });
    expect(await modern.json()).toMatchObject({ result: { content: [{ text: 'modern' }] } });
    const opened = await test.post(initialize);
    const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
    const legacy = await test.post(
      { method: 'tools/call', params: { name: 'echo', arguments: { text: 'legacy' } } },
      session,
    );
    expect(await legacy.json()).toMatchObject({ result: { content: [{ text: 'legacy' }] } });
  });

  it('lets nobody in without a key', async () => {
    const { post } = await createTestHost(define());
    const refused = await post(initialize, { authorization: '' });
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toMatch(/^Bearer resource_metadata="http/);
  });

  it('listens where it is told, and tells the URL', async () => {
    const { host } = await createTestHost(define());
    const { url } = await host.listen();
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*\/mcp$/);
    expect((await fetch(url.replace(/mcp$/, 'ready'))).status).toBe(200);
  });

  it('tells a change that no call made to the streams that are open', async () => {
    const read = (): string => 'text';
    const { host, post } = await createTestHost(
      define({ resources: [defineResource({ name: 'r', uri: 'x://r', read })] }),
    );
    const stream = await post(
      {
        method: 'subscriptions/listen',
        params: { notifications: { resourceSubscriptions: ['x://r'] }, _meta: modernMeta },
      },
      { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'subscriptions/listen' },
    );
    await host.publish({ kind: 'resource_updated', uri: 'x://r', tenantId: undefined });
    expect(await readUntil(stream, 'resources/updated')).toContain('"uri":"x://r"');
  });

  it('hosts a factory of the official SDK', async () => {
    const test = await createTestHost(() => {
      const server = new McpServer({ name: 'sdk', version: '1' });
      server.registerTool('shout', { inputSchema: z.object({ text: z.string() }) }, ({ text }) => ({
        content: [{ type: 'text', text: text.toUpperCase() }],
      }));
      return server;
    });
    const reply = await callModern(test, 'shout', { text: 'hello' });
    expect(await reply.json()).toMatchObject({ result: { content: [{ text: 'HELLO' }] } });
  });

  it.each([{}, { AUTH: 'oauth' }])('starts where its folder is not there yet, with %j', async (auth) => {
    const { host } = await createTestHost(define(), { ...auth, DATA_DIR: 'absent/below' });
    expect((await host.fetch(new Request(`${origin}/health`))).status).toBe(200);
  });

  it('refuses what cannot be served', async () => {
    const twice = define({ tools: [echo, echo] });
    await expect(createTestHost(twice)).rejects.toThrow(new TypeError('tool "echo" is defined twice'));
    await expect(createTestHost(() => 'no server')).rejects.toThrow(TypeError);
    const { config } = await loadConfig({ environment: {}, workingDir: tmpdir() });
    await expect(createHost({ server: define(), config })).rejects.toThrow(/give both, or neither/);
  });
});

describe('closing a host', () => {
  it('happens by itself when a later part cannot be opened: nothing that was opened before is left', async () => {
    const closed: string[] = [];
    const failing = createTestHost(define({ close: () => void closed.push('closed') }), {
      DATABASE_URL: 'postgres://nobody:wrong@127.0.0.1:1/none',
    });
    await expect(failing).rejects.toThrow();
    expect(closed).toEqual(['closed']);
  });

  it('happens once, however often it is asked for, and releases what the server opened', async () => {
    const closed: string[] = [];
    const { host } = await createTestHost(define({ close: () => void closed.push('closed') }));
    await Promise.all([host.close(), host.close()]);
    await host.close();
    expect(closed).toEqual(['closed']);
  });

  it('ends open streams with a time to come back', async () => {
    const { host, post } = await createTestHost(define());
    const opened = await post(initialize);
    const stream = await host.fetch(
      new Request(`${origin}/mcp`, {
        headers: {
          authorization: `Bearer ${host.firstRun?.secret}`,
          accept: 'text/event-stream',
          'mcp-session-id': opened.headers.get('mcp-session-id') ?? '',
        },
      }),
    );
    const text = stream.text();
    await host.close();
    // Once when it was primed, once when it was ended.
    expect((await text).match(/^retry: \d+$/gm)?.length).toBe(2);
  });
});

describe('a host for stdio', () => {
  it('serves its client and has no web side', async () => {
    const { host } = await createTestHost(define(), { MCP_TRANSPORT: 'stdio' });
    expect(host.identity).toBeUndefined();
    const input = new PassThrough();
    const output = new PassThrough();
    const served = host.serveStdio(input, output);
    input.end(`${JSON.stringify({ jsonrpc: '2.0', id: 1, ...initialize })}\n`);
    await served;
    expect(JSON.parse(String(output.read()))).toMatchObject({
      id: 1,
      result: { serverInfo: { name: 'test' } },
    });
    await expect(host.listen()).rejects.toThrow(/MCP_TRANSPORT is stdio/);
    await expect(host.fetch(new Request(origin))).rejects.toThrow(/MCP_TRANSPORT is stdio/);
  });
});

it('makes no first key, which nobody would see, for a start that fails', async () => {
  const { host } = await createTestHost(define(), {
    AUTH: 'oauth',
    UPSTREAM_ISSUER: 'http://127.0.0.1:1',
    UPSTREAM_CLIENT_ID: 'mooring',
    UPSTREAM_JOIN_TENANT: 'cafe',
    UPSTREAM_JOIN_SCOPES: '*',
  });
  await expect(host.listen()).rejects.toThrow('UPSTREAM_JOIN_TENANT: there is no tenant with the id cafe');
  expect(host.firstRun).toBeUndefined();
  expect(await host.identity?.tenants.list(1)).toEqual([]);
});
