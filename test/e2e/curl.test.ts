/** `curl`, as a person at a terminal uses it: the line that the first run prints, and notes in both eras. */
import { execFile } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MooringProcess, startMooring } from './mooring-process.ts';
import { toHeaders, toModernRequest, type WireMessage } from './wire.ts';

const timeoutMs = 20_000;

let notes: MooringProcess;

beforeAll(async () => {
  notes = await startMooring();
});
afterAll(async () => {
  await notes.dispose();
});

function run(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { timeout: timeoutMs }, (error, out, stderr) => {
      if (error === null) resolve(out);
      else reject(new Error(`${program} failed: ${error.message}\n${stderr}`));
    });
  });
}

/** The headers of the reply, then its body. */
async function curl(request: RequestInit): Promise<{ status: number; head: string; message: WireMessage }> {
  const headers = Object.entries(request.headers as Record<string, string>);
  const out = await run('curl', [
    '-sSi',
    '--max-time',
    '15',
    '-X',
    request.method ?? 'GET',
    ...headers.flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
    ...(typeof request.body === 'string' ? ['-d', request.body] : []),
    notes.url,
  ]);
  const [head = '', body = ''] = out.split('\r\n\r\n', 2);
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]);
  return { status, head, message: body === '' ? {} : (JSON.parse(body) as WireMessage) };
}

test('the line that the first run prints works as it stands', async () => {
  const line = /\n(  curl http[^]*?)\n\n/.exec(notes.read().out)?.[1] ?? '';
  expect(line).toContain(notes.key);
  const { result } = JSON.parse(await run('bash', ['-c', line])) as WireMessage;
  const tools = ['add_note', 'search_notes', 'delete_note'].map((name) => expect.objectContaining({ name }));
  expect(result?.['tools']).toEqual(expect.arrayContaining(tools));
});

describe('a note is added, found and deleted', () => {
  test('in the stateless era, where every request speaks for itself', async () => {
    const call = async (name: string, args: object): Promise<Record<string, unknown>> => {
      const { status, message } = await curl(
        toModernRequest(notes.key, 'tools/call', { name, arguments: args }),
      );
      expect(status, JSON.stringify(message)).toBe(200);
      return message.result?.['structuredContent'] as Record<string, unknown>;
    };
    const { id } = await call('add_note', { title: 'From curl', text: 'curlicue' });
    expect(await call('search_notes', { query: 'curlicue' })).toMatchObject({ total: 1, notes: [{ id }] });
    expect(await call('delete_note', { id, confirm: true })).toMatchObject({ outcome: 'deleted' });
    expect(await call('search_notes', { query: 'curlicue' })).toMatchObject({ total: 0 });
  });

  test('in a session of the 2025 revisions, which ends with DELETE', async () => {
    const opened = await curl({
      method: 'POST',
      headers: toHeaders(notes.key),
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 0,
        method: 'initialize',
        params: {
          protocolVersion: '2025-06-18',
          capabilities: {},
          clientInfo: { name: 'curl', version: '1' },
        },
      }),
    });
    expect(opened.message.result).toMatchObject({
      protocolVersion: '2025-06-18',
      serverInfo: { name: 'notes' },
    });
    const session = /^mcp-session-id: (\S+)/im.exec(opened.head)?.[1] ?? '';
    const inSession = { 'Mcp-Session-Id': session, 'MCP-Protocol-Version': '2025-06-18' };
    const send = (message: object): ReturnType<typeof curl> =>
      curl({
        method: 'POST',
        headers: toHeaders(notes.key, inSession),
        body: JSON.stringify({ jsonrpc: '2.0', ...message }),
      });
    expect(await send({ method: 'notifications/initialized' })).toMatchObject({ status: 202 });

    const call = async (name: string, args: object): Promise<Record<string, unknown>> => {
      const reply = await send({ id: 1, method: 'tools/call', params: { name, arguments: args } });
      expect(reply.status).toBe(200);
      return reply.message.result?.['structuredContent'] as Record<string, unknown>;
    };
    const { id } = await call('add_note', { title: 'From curl', text: 'curlew' });
    expect(await call('search_notes', { query: 'curlew' })).toMatchObject({ total: 1, notes: [{ id }] });
    expect(await call('delete_note', { id, confirm: true })).toMatchObject({ outcome: 'deleted' });

    expect(await curl({ method: 'DELETE', headers: toHeaders(notes.key, inSession) })).toMatchObject({
      status: 204,
    });
    expect(await send({ id: 2, method: 'ping' })).toMatchObject({ status: 404 });
  });
});
