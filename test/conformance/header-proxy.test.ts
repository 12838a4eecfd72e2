import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { type HeaderProxy, startHeaderProxy } from './header-proxy.ts';

describe('header proxy', () => {
  const open: { target?: Server; proxy?: HeaderProxy } = {};

  async function startBefore(listener: RequestListener): Promise<string> {
    open.target = createServer(listener).listen(0, '127.0.0.1');
    await once(open.target, 'listening');
    const { port } = open.target.address() as AddressInfo;
    open.proxy = await startHeaderProxy({
      target: `http://127.0.0.1:${port}`,
      header: ['Authorization', 'Bearer abc'],
    });
    return open.proxy.url;
  }

  afterEach(async () => {
    await open.proxy?.close();
    open.target?.closeAllConnections();
    open.target?.close();
  });

  test('adds its header and leaves method, path, Host, Origin and body as they were', async () => {
    let seen: IncomingMessage | undefined;
    let body = '';
    const url = await startBefore((request, response) => {
      seen = request;
      request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      request.on('end', () => response.writeHead(201, { 'x-answer': 'yes' }).end('done'));
    });
    const answer = await fetch(`${url}/mcp?a=1`, {
      method: 'POST',
      headers: { origin: 'http://example.test' },
      body: 'hello',
    });
    expect([answer.status, answer.headers.get('x-answer'), await answer.text()]).toEqual([
      201,
      'yes',
      'done',
    ]);
    expect([seen?.method, seen?.url, body]).toEqual(['POST', '/mcp?a=1', 'hello']);
    expect(seen?.headers).toMatchObject({
      authorization: 'Bearer abc',
      origin: 'http://example.test',
      host: new URL(url).host,
    });
  });

  test('hands on an event as soon as it is written, not when the stream ends', async () => {
    const url = await startBefore((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
    });
    const answer = await fetch(url);
    const reader = answer.body?.getReader();
    const first = await reader?.read();
    expect(new TextDecoder().decode(first?.value)).toBe('data: 1\n\n');
    await reader?.cancel();
  });

  test("ends the target's stream when the client goes, also before an answer", async () => {
    const abort = new AbortController();
    const closed = new Promise<void>((resolve) => {
      void startBefore((_request, response) => {
        response.on('close', resolve);
        abort.abort();
      }).then((url) => fetch(url, { signal: abort.signal }).catch(() => undefined));
    });
    await closed;
  });

  test("breaks the client's stream when the target's breaks, instead of ending it", async () => {
    const url = await startBefore((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: 1\n\n', () => response.destroy());
    });
    const answer = await fetch(url);
    await expect(answer.text()).rejects.toThrow(/terminated/);
  });

  test('says 502 when nobody listens', async () => {
    const url = await startBefore(() => undefined);
    open.target?.close();
    await expect(fetch(url).then(({ status }) => status)).resolves.toBe(502);
  });
});
