/** The stdio transport as a process: what is on its streams, and how it ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFolder, runMooring, toStdioCommand } from './mooring-process.ts';
import type { WireMessage } from './wire.ts';

let folder = '';
const children: ChildProcess[] = [];

beforeEach(() => {
  folder = createFolder();
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

interface StdioServer {
  readonly child: ChildProcess;
  readonly messages: WireMessage[];
  readonly exited: Promise<number | null>;
  send(line: string): void;
  /** The next line of stdout, which must be a message. */
  next(): Promise<WireMessage>;
}

function start(): StdioServer {
  const { command, args, env, cwd } = toStdioCommand({ dataDir: folder });
  const child = spawn(command, args, { env, cwd, stdio: ['pipe', 'pipe', 'ignore'] });
  children.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const messages: WireMessage[] = [];
  return {
    child,
    messages,
    exited: new Promise((resolve) => {
      child.on('close', resolve);
    }),
    send: (line) => {
      child.stdin.write(`${line}\n`);
    },
    next: async () => {
      const { value } = await lines.next();
      return JSON.parse(String(value)) as WireMessage;
    },
  };
}

const initialize = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'raw', version: '1' },
  },
});
const add = JSON.stringify({
  jsonrpc: '2.0',
  id: 2,
  method: 'tools/call',
  params: { name: 'add_note', arguments: { title: 'Over stdio' } },
});

test('nothing but messages is on stdout, and a line that is none is answered', async () => {
  const server = start();
  for (const line of ['this is not JSON', '{"jsonrpc":"2.0"}', '', initialize]) server.send(line);
  expect((await server.next()).error).toMatchObject({ code: -32700 });
  expect((await server.next()).error).toMatchObject({ code: -32600 });
  expect(await server.next()).toMatchObject({ id: 1, result: { serverInfo: { name: 'notes' } } });
});

test('requests written before the input ended are answered; then the process ends with 0', async () => {
  const server = start();
  server.send(initialize);
  server.send(add);
  server.child.stdin?.end();
  expect(await server.next()).toMatchObject({ id: 1 });
  expect(await server.next()).toMatchObject({
    id: 2,
    result: { structuredContent: { title: 'Over stdio' } },
  });
  expect(await server.exited).toBe(0);
});

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s ends the process with 0 though the client stays',
  async (signal) => {
    const server = start();
    server.send(initialize);
    await server.next();
    server.child.kill(signal);
    expect(await server.exited).toBe(0);
  },
);

test('it makes no key and needs none: there is nobody else to tell apart', async () => {
  const server = start();
  server.send(initialize);
  await server.next();
  expect(existsSync(join(folder, 'mooring.db'))).toBe(false);
});

test('wrong settings are told on stderr, not among the messages', async () => {
  const { code, out, error } = await runMooring(['start', 'servers/notes', '--stdio'], { LOG_LEVEL: 'loud' });
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(error).toMatch(/^mooring: LOG_LEVEL: [^\n]+\n$/);
});
