import { spawnSync } from 'node:child_process';
import { request as httpRequest, Agent, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { ConfigError } from '../errors.ts';
import {
  createTestEdge,
  describeEdgeAdapter,
  maxBodyBytes,
  principal,
  type ReceivedReply,
  type SentRequest,
  type TestEdge,
  toText,
} from './edge-adapter.contract.ts';
import type { HttpReply } from './messages.ts';
import { type NodeServer, startNodeServer } from './node-server.ts';
import type { NodeServerLimits } from './node-server-limits.ts';

let server: NodeServer | undefined;
let sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  await server?.close(0);
  server = undefined;
});

async function start(test: TestEdge, limits: Partial<NodeServerLimits> = {}): Promise<NodeServer> {
  server = await startNodeServer({ host: '127.0.0.1', port: 0, createEdge: () => test.edge, limits });
  return server;
}

function send(port: number, { method, path, headers = {}, body }: SentRequest): Promise<ReceivedReply> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ port, host: '127.0.0.1', method, path, headers, agent: false }, (reply) => {
      resolve({ status: reply.statusCode ?? 0, headers: toHeaders(reply), text: () => readText(reply) });
    });
    sent.on('error', reject);
    if (body) {
      sent.flushHeaders();
      sent.write(body);
    }
    sent.end();
  });
}

function toHeaders(reply: IncomingMessage): Headers {
  return new Headers(
    Object.entries(reply.headersDistinct).flatMap(([name, values]) =>
      (values ?? []).map((value): [string, string] => [name, value]),
    ),
  );
}

async function readText(reply: IncomingMessage): Promise<string> {
  reply.setEncoding('utf8');
  let text = '';
  for await (const part of reply) text += part;
  return text;
}

describeEdgeAdapter('node-server', async (edge) => {
  const running = await startNodeServer({ host: '127.0.0.1', port: 0, createEdge: () => edge });
  return {
    send: (request) => send(running.address.port, request),
    close: async () => {
      await running.close(0);
    },
  };
});

/** A client of raw bytes. */
interface RawClient {
  readonly socket: Socket;
  received: string;
  isClosed: boolean;
}

async function open(): Promise<RawClient> {
  const socket = connect(server?.address.port ?? 0, '127.0.0.1');
  sockets.push(socket);
  const client: RawClient = { socket, received: '', isClosed: false };
  socket.setEncoding('utf8').on('data', (text: string) => (client.received += text));
  socket.on('error', () => {}).on('close', () => (client.isClosed = true));
  await new Promise((resolve) => socket.once('connect', resolve));
  return client;
}

function toRaw(line: string, headers: readonly string[] = [], body = ''): string {
  return [`${line} HTTP/1.1`, 'Host: localhost', 'Authorization: Bearer good', ...headers, '', body].join(
    '\r\n',
  );
}

const post = (body: string, headers: readonly string[] = []): string =>
  toRaw('POST /mcp', [`Content-Length: ${Buffer.byteLength(body)}`, ...headers], body);

/** A program that sends bytes and resets its connection. */
const sendAndReset = (port: number, bytes: string): string => `
  const socket = require('node:net').connect(${port}, '127.0.0.1', () => {
    socket.write(${JSON.stringify(bytes)}, () => setTimeout(() => socket.resetAndDestroy(), 20));
  });
  socket.on('error', () => {});
`;

const statuses = (client: RawClient): string[] =>
  client.received.match(/(?<=^|\})HTTP\/1\.1 \d{3}|HTTP\/1\.1 \d{3}/g)?.map((line) => line.slice(9)) ?? [];
const waitFor = <Value>(read: () => Value): ReturnType<typeof expect.poll<Value>> =>
  expect.poll(read, { timeout: 5000, interval: 5 });

describe('bytes that are not a request', () => {
  it.each([
    ['not HTTP', 'hello\r\n\r\n', 400],
    ['two lengths', toRaw('POST /mcp', ['Content-Length: 1', 'Content-Length: 2'], 'ab'), 400],
    [
      'a length and chunks',
      toRaw('POST /mcp', ['Content-Length: 1', 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
      400,
    ],
    ['no host', 'GET /open HTTP/1.1\r\n\r\n', 400],
    ['two hosts', toRaw('GET /open', ['Host: localhost']), 400],
    ['two authorizations', toRaw('GET /mcp', ['authorization: Bearer bad']), 400],
    ['a folded header', toRaw('GET /open', ['X-A: b', ' c']), 400],
    ['headers too large', toRaw('GET /open', [`X-A: ${'a'.repeat(20_000)}`]), 431],
    [
      'too many headers',
      toRaw(
        'GET /open',
        Array.from({ length: 101 }, (_, index) => `X-${index}: a`),
      ),
      431,
    ],
    ['a bad chunk', toRaw('POST /mcp', ['Transfer-Encoding: chunked'], 'zz\r\n'), 400],
  ])('answers %s', async (_name, bytes, status) => {
    await start(createTestEdge());
    const client = await open();
    client.socket.write(bytes);
    await waitFor(() => statuses(client)).toEqual([String(status)]);
  });

  it('tells why as JSON, with a request id', async () => {
    const test = createTestEdge();
    await start(test);
    const client = await open();
    client.socket.write('hello\r\n\r\n');
    await waitFor(() => client.isClosed).toBe(true);
    expect(client.received).toMatch(
      /^HTTP\/1\.1 400 Bad Request\r\n[^]*X-Request-Id: \S+\r\n[^]*Connection: close\r\n\r\n\{"jsonrpc"/,
    );
    expect(test.lines).toMatchObject([
      { event: 'request', fields: { status: 400, error: 'request_invalid' } },
    ]);
  });

  it('keeps silent when a reply is owed to an earlier request of the connection', async () => {
    let answer: (reply: HttpReply) => void = () => {};
    const test = createTestEdge({ answer: () => new Promise((resolve) => (answer = resolve)) });
    await start(test);
    const client = await open();
    client.socket.write(`${post('{}')}garbage\r\n\r\n`);
    await waitFor(() => client.isClosed).toBe(true);
    expect(client.received).toBe('');
    answer(toText('late'));
  });
});

describe('slow clients', () => {
  it('answers 408 when the headers do not arrive in time', async () => {
    await start(createTestEdge(), { headersTimeoutMs: 100, requestTimeoutMs: 200 });
    const client = await open();
    client.socket.write('POST /mcp HTTP/1.1\r\nHost: loc');
    await waitFor(() => client.isClosed).toBe(true);
    expect(statuses(client)).toEqual(['408']);
  });

  it('answers 408 when the body does not arrive in time, however it trickles', async () => {
    const test = createTestEdge();
    const running = await start(test, { headersTimeoutMs: 100, requestTimeoutMs: 200 });
    const client = await open();
    client.socket.write(toRaw('POST /mcp', ['Content-Length: 500']));
    const drip = setInterval(() => client.socket.write('x'), 20);
    await waitFor(() => client.isClosed).toBe(true);
    clearInterval(drip);
    expect(statuses(client)).toEqual(['408']);
    expect(test.handled).toHaveLength(0);
    expect(running.callCount).toBe(0);
  });

  it('cuts a client that does not read its stream, and tells the handler once', async () => {
    const test = createTestEdge();
    await start(test, { streamBufferBytes: 100_000 });
    const client = await open();
    client.socket.pause();
    client.socket.write(toRaw('GET /mcp'));
    await waitFor(() => test.sinks.length).toBe(1);
    const [sink] = test.sinks;
    let closes = 0;
    sink?.onClose(() => (closes += 1));
    const chunk = `data: ${'x'.repeat(50_000)}\n\n`;
    let written = 0;
    await waitFor(() => {
      const isTaken = sink?.write(chunk) ?? false;
      if (isTaken) written += chunk.length;
      return isTaken;
    }).toBe(false);
    await waitFor(() => closes).toBe(1);
    expect(sink?.isOpen).toBe(false);
    // What the kernel's buffers of both sides take is beyond our bound.
    expect(written).toBeLessThan(20_000_000);
    let late = 0;
    sink?.onClose(() => (late += 1));
    expect(late).toBe(1);
  });

  it('cuts a client that does not take a reply that is ready', async () => {
    const running = await start(createTestEdge({ answer: () => toText('x'.repeat(30_000_000)) }), {
      sendTimeoutMs: 100,
    });
    const client = await open();
    client.socket.pause();
    client.socket.write(post('{}'));
    await waitFor(() => running.callCount).toBe(1);
    await waitFor(() => running.callCount).toBe(0);
  });
});

describe('where a request comes from', () => {
  const told = ['X-Forwarded-For: 192.0.2.1'];
  const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
    all?.some(({ family }) => family === 'IPv6'),
  );

  it('is the other end of its socket, whatever it says', async () => {
    const test = createTestEdge();
    await start(test);
    const client = await open();
    client.socket.write(post('{}', told));
    await waitFor(() => test.handled.length).toBe(1);
    expect(test.handled[0]?.clientAddress).toBe('127.0.0.1');
  });

  it('is what a trusted proxy says', async () => {
    const test = createTestEdge({ isTrustedProxy: (address) => address === '127.0.0.1' });
    await start(test);
    const client = await open();
    client.socket.write(post('{}', told) + post('{}'));
    await waitFor(() => test.handled.length).toBe(2);
    expect(test.handled.map(({ clientAddress }) => clientAddress)).toEqual(['192.0.2.1', '127.0.0.1']);
  });

  it('is still known when its client has left', async () => {
    const test = createTestEdge({ answer: () => new Promise(() => {}) });
    const running = await start(test);
    const client = await open();
    client.socket.write(post('{}'));
    await waitFor(() => test.handled.length).toBe(1);
    client.socket.destroy();
    await waitFor(() => running.callCount).toBe(0);
    expect(test.handled[0]?.clientAddress).toBe('127.0.0.1');
  });

  it('is never unknown: what was sent by who is gone before it is accepted is not read', async () => {
    const test = createTestEdge();
    const { address } = await start(test);
    // While this process waits, the system accepts for it. The reset takes the address along, and leaves the bytes.
    const { status } = spawnSync(process.execPath, ['-e', sendAndReset(address.port, post('"lost"'))]);
    expect(status).toBe(0);
    const client = await open();
    client.socket.write(post('"there"'));
    await waitFor(() => test.handled.map(({ body }) => body)).toEqual(['"there"']);
  });

  it.skipIf(!hasIpv6)('is one address of IPv4 where the server listens on IPv6 as well', async () => {
    const test = createTestEdge();
    server = await startNodeServer({ host: '::', port: 0, createEdge: () => test.edge });
    const client = await open();
    client.socket.write(post('{}'));
    await waitFor(() => test.handled.length).toBe(1);
    expect(test.handled[0]?.clientAddress).toBe('127.0.0.1');
  });
});

describe('clients that leave', () => {
  it('tells the handler, once, and drops its reply', async () => {
    let closes = 0;
    let answer: (reply: HttpReply) => void = () => {};
    const test = createTestEdge({
      answer(request) {
        request.onClose(() => (closes += 1));
        return new Promise((resolve) => (answer = resolve));
      },
    });
    const running = await start(test);
    const client = await open();
    client.socket.write(post('{}'));
    await waitFor(() => test.handled.length).toBe(1);
    client.socket.destroy();
    await waitFor(() => closes).toBe(1);
    answer(toText('late'));
    let late = 0;
    test.handled[0]?.onClose(() => (late += 1));
    expect(late).toBe(1);
    expect(running.callCount).toBe(0);
    expect(test.lines).toMatchObject([{ event: 'request', fields: { status: 499 } }]);
  });

  it('tells the handlers of pipelined requests as well', async () => {
    let closes = 0;
    const test = createTestEdge({
      answer(request) {
        request.onClose(() => (closes += 1));
        return new Promise(() => {});
      },
    });
    const running = await start(test);
    const client = await open();
    client.socket.write(post('1') + post('2') + post('3'));
    await waitFor(() => test.handled.length).toBe(3);
    client.socket.destroy();
    await waitFor(() => closes).toBe(3);
    expect(running.callCount).toBe(0);
  });

  it('does not run the handler when the client left while its token was checked', async () => {
    let accept: () => void = () => {};
    const checked = new Promise<typeof principal>((resolve) => {
      accept = () => {
        resolve(principal);
      };
    });
    let asked = 0;
    const test = createTestEdge({
      authenticator: {
        authenticate() {
          asked += 1;
          return checked;
        },
      },
    });
    const running = await start(test);
    const client = await open();
    client.socket.write(toRaw('POST /mcp', ['Content-Length: 0']));
    await waitFor(() => asked).toBe(1);
    client.socket.destroy();
    await waitFor(() => running.callCount).toBe(0);
    accept();
    await checked;
    await new Promise((resolve) => setImmediate(resolve));
    expect(test.handled).toHaveLength(0);
  });

  it('does not call it leaving when the reply is complete', async () => {
    let closes = 0;
    const test = createTestEdge({
      answer(request) {
        request.onClose(() => (closes += 1));
        return toText('done');
      },
    });
    await start(test);
    const client = await open();
    client.socket.write(post('{}'));
    await waitFor(() => statuses(client)).toEqual(['200']);
    client.socket.destroy();
    await waitFor(() => client.isClosed).toBe(true);
    test.handled[0]?.onClose(() => (closes += 1));
    expect(closes).toBe(0);
  });

  it('forgets one that left in the middle of its body', async () => {
    const test = createTestEdge();
    const running = await start(test);
    const client = await open();
    client.socket.write(toRaw('POST /mcp', ['Content-Length: 500'], 'half'));
    await waitFor(() => running.callCount).toBe(1);
    client.socket.destroy();
    await waitFor(() => running.callCount).toBe(0);
    expect(test.handled).toHaveLength(0);
  });
});

describe('one connection, several requests', () => {
  it('answers pipelined requests in order, whichever is ready first', async () => {
    const answers: ((reply: HttpReply) => void)[] = [];
    const test = createTestEdge({ answer: () => new Promise((resolve) => answers.push(resolve)) });
    await start(test);
    const client = await open();
    client.socket.write(post('1') + post('2'));
    await waitFor(() => answers.length).toBe(2);
    answers[1]?.(toText('second'));
    answers[0]?.(toText('first'));
    await waitFor(() => client.received).toMatch(/first[^]*second$/);
  });

  it('bounds how many wait', async () => {
    const test = createTestEdge({ answer: () => new Promise(() => {}) });
    const running = await start(test, { maxPipelinedRequests: 5 });
    const client = await open();
    client.socket.write(post('{}').repeat(50));
    await waitFor(() => client.isClosed).toBe(true);
    expect(test.handled.length).toBeLessThanOrEqual(6);
    expect(running.callCount).toBe(0);
  });

  it('keeps the connection after refusals whose body is small', async () => {
    await start(createTestEdge());
    const client = await open();
    const unauthenticated = `POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello`;
    client.socket.write(
      unauthenticated + post('{}', ['Content-Encoding: gzip']) + toRaw('GET /nothing') + post('fine'),
    );
    await waitFor(() => statuses(client)).toEqual(['401', '415', '404', '200']);
  });

  it('answers a target in absolute form by its own host', async () => {
    await start(createTestEdge());
    const client = await open();
    client.socket.write(
      toRaw('GET http://127.0.0.1:1/open?x=1') + toRaw('POST http://evil.example/mcp', ['Content-Length: 0']),
    );
    await waitFor(() => statuses(client)).toEqual(['200', '403']);
  });
});

describe('bodies that are refused', () => {
  it('answers a declared length over the limit before any of it is sent, and closes', async () => {
    await start(createTestEdge());
    const client = await open();
    client.socket.write(toRaw('POST /mcp', [`Content-Length: 10000000000`]));
    await waitFor(() => statuses(client)).toEqual(['413']);
    expect(client.received).toMatch(/connection: close/i);
    await waitFor(() => client.isClosed).toBe(true);
  });

  it('lets a client that is still sending read its reply, then stops it', async () => {
    const test = createTestEdge();
    await start(test);
    const client = await open();
    client.socket.write(toRaw('POST /mcp', ['Transfer-Encoding: chunked']));
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
    let sent = 0;
    const push = (): void => {
      do sent += chunk.length;
      while (client.socket.write(chunk));
    };
    client.socket.on('drain', push);
    push();
    await waitFor(() => client.isClosed).toBe(true);
    expect(statuses(client)).toEqual(['413']);
    expect(client.received).toContain('body_too_large');
    // The bound, and what the kernel's buffers of both sides take.
    expect(sent).toBeLessThan(16_000_000);
    expect(test.handled).toHaveLength(0);
  });

  it('does not ask for a body that it refuses', async () => {
    await start(createTestEdge());
    const client = await open();
    client.socket.write(toRaw('POST /mcp', [`Content-Length: ${maxBodyBytes + 1}`, 'Expect: 100-continue']));
    await waitFor(() => statuses(client)).toEqual(['413']);
    expect(client.received).toMatch(/connection: close/i);
  });

  it('asks for one that it takes', async () => {
    await start(createTestEdge());
    const client = await open();
    client.socket.write(toRaw('POST /mcp', ['Content-Length: 2', 'Expect: 100-continue']));
    await waitFor(() => statuses(client)).toEqual(['100']);
    client.socket.write('{}');
    await waitFor(() => statuses(client)).toEqual(['100', '200']);
  });
});

describe('a stream that cannot be opened', () => {
  it('is cut and logged, and the server goes on', async () => {
    const failure = new Error('no stream');
    const broken: HttpReply = {
      kind: 'stream',
      status: 200,
      headers: {},
      open() {
        throw failure;
      },
    };
    const test = createTestEdge({ answer: () => broken });
    const running = await start(test);
    const client = await open();
    client.socket.write(post('{}'));
    await waitFor(() => client.isClosed).toBe(true);
    expect(test.lines).toContainEqual(expect.objectContaining({ event: 'request.failed', error: failure }));
    expect(running.callCount).toBe(0);
    expect((await send(running.address.port, { method: 'GET', path: '/open' })).status).toBe(200);
  });
});

describe('quiesce', () => {
  it('accepts nobody, and answers a last request on a connection that was idle', async () => {
    const running = await start(createTestEdge(), { stopIdleMs: 30_000 });
    const [idle, other] = [await open(), await open()];
    for (const { socket } of [idle, other]) socket.write(toRaw('GET /open'));
    await waitFor(() => [statuses(idle).length, statuses(other).length]).toEqual([1, 1]);
    let isQuiet = false;
    const quiet = running.quiesce(30_000).then(() => (isQuiet = true));
    expect(running.isStopping).toBe(true);
    await expect
      .poll(() => openError(running.address.port), { timeout: 5000, interval: 5 })
      .toBe('ECONNREFUSED');
    idle.socket.write(toRaw('GET /open'));
    await waitFor(() => idle.isClosed).toBe(true);
    expect(statuses(idle)).toEqual(['200', '200']);
    expect(idle.received).toMatch(/connection: close/i);
    expect(isQuiet).toBe(false);
    other.socket.destroy();
    await quiet;
    expect(await running.close(5000)).toBe(0);
  });

  it('waits for idle connections no longer than it may, and for busy ones not at all', async () => {
    const test = createTestEdge({ answer: () => new Promise(() => {}) });
    const running = await start(test, { stopIdleMs: 50 });
    const [idle, busy] = [await open(), await open()];
    idle.socket.write(toRaw('GET /open'));
    busy.socket.write(post('{}'));
    await waitFor(() => statuses(idle).length + test.handled.length).toBe(2);
    await running.quiesce(30_000);
    expect([idle.isClosed, busy.isClosed]).toEqual([false, false]);
    expect(await running.close(0)).toBe(1);
    await waitFor(() => idle.isClosed).toBe(true);
  });

  it('answers a last request on a connection whose reply had begun before, and did not say that it ends', async () => {
    const test = createTestEdge();
    const running = await start(test, { stopIdleMs: 30_000 });
    const client = await open();
    client.socket.write(toRaw('GET /mcp'));
    await waitFor(() => test.sinks.length).toBe(1);
    let isQuiet = false;
    const quiet = running.quiesce(30_000).then(() => (isQuiet = true));
    test.sinks[0]?.end();
    await waitFor(() => client.received.endsWith('0\r\n\r\n')).toBe(true);
    expect([isQuiet, client.isClosed]).toEqual([false, false]);
    client.socket.write(toRaw('GET /open'));
    await quiet;
    await waitFor(() => client.isClosed).toBe(true);
    expect(statuses(client)).toEqual(['200', '200']);
    expect(client.received).toMatch(/connection: close/i);
    await running.close(5000);
  });

  it('serves who had connected when it was called, and was not yet handed over', async () => {
    const running = await start(createTestEdge(), { stopIdleMs: 30_000 });
    const clients = Array.from({ length: 20 }, () => connect(running.address.port, '127.0.0.1'));
    sockets.push(...clients);
    const received = clients.map((client) => {
      client.write(toRaw('GET /open'));
      return readStatus(client);
    });
    await new Promise((resolve) => clients.at(-1)?.once('connect', resolve));
    const quiet = running.quiesce(30_000);
    expect(await Promise.all(received)).toEqual(clients.map(() => 'HTTP/1.1 200'));
    for (const client of clients) client.destroy();
    await quiet;
  });

  function openError(port: number): Promise<string | undefined> {
    return new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => {
        socket.destroy();
        resolve(undefined);
      });
      socket.once('error', ({ code }: NodeJS.ErrnoException) => {
        resolve(code);
      });
    });
  }

  /** The start of what comes, or the code of the error that comes instead. */
  function readStatus(socket: Socket): Promise<string | undefined> {
    return new Promise((resolve) => {
      socket.once('data', (bytes: Buffer) => {
        resolve(bytes.toString('latin1', 0, 12));
      });
      socket.once('error', ({ code }: NodeJS.ErrnoException) => {
        resolve(code);
      });
    });
  }
});

describe('close', () => {
  it('ends idle connections, finishes requests in flight and ends streams that the caller ends', async () => {
    let answer: (reply: HttpReply) => void = () => {};
    const test = createTestEdge({ answer: () => new Promise((resolve) => (answer = resolve)) });
    const running = await start(test);
    running.onStop(() => test.sinks[0]?.write('retry: 1\n\n'));
    running.onStop(() => test.sinks[0]?.end());
    const [idle, busy, stream] = [await open(), await open(), await open()];
    idle.socket.write(toRaw('GET /open'));
    busy.socket.write(post('{}'));
    stream.socket.write(toRaw('GET /mcp'));
    await waitFor(() => test.handled.length + test.sinks.length + statuses(idle).length).toBe(3);

    const closed = running.close(5000);
    expect(running.isStopping).toBe(true);
    await waitFor(() => idle.isClosed).toBe(true);
    await waitFor(() => stream.received).toMatch(/retry: 1\n\n\r\n0\r\n\r\n$/);
    expect(busy.isClosed).toBe(false);
    answer(toText('finished'));
    expect(await closed).toBe(0);
    await waitFor(() => busy.isClosed && stream.isClosed).toBe(true);
    expect(busy.received).toMatch(/connection: close[^]*finished$/i);
  });

  it('ends the connection of a stream that began before it, so that no request follows on it', async () => {
    const test = createTestEdge({ answer: () => new Promise(() => {}) });
    const running = await start(test);
    const [busy, stream] = [await open(), await open()];
    busy.socket.write(post('{}'));
    stream.socket.write(toRaw('GET /mcp'));
    await waitFor(() => test.handled.length + test.sinks.length).toBe(2);
    const closed = running.close(5000);
    test.sinks[0]?.end();
    await waitFor(() => stream.isClosed).toBe(true);
    expect(busy.isClosed).toBe(false);
    busy.socket.destroy();
    expect(await closed).toBe(0);
  });

  it('accepts no new connection', async () => {
    const running = await start(createTestEdge());
    await running.close(0);
    const refused = await new Promise<NodeJS.ErrnoException>((resolve) => {
      connect(running.address.port, '127.0.0.1').once('error', resolve);
    });
    expect(refused.code).toBe('ECONNREFUSED');
  });

  it('cuts what is not finished in time, and says how much', async () => {
    const test = createTestEdge({ answer: () => new Promise(() => {}) });
    const running = await start(test);
    const [busy, stream] = [await open(), await open()];
    busy.socket.write(post('{}'));
    stream.socket.write(toRaw('GET /mcp'));
    await waitFor(() => running.callCount).toBe(2);
    expect(await running.close(50)).toBe(2);
    await waitFor(() => busy.isClosed && stream.isClosed).toBe(true);
  });

  it('sends a large reply to its end', async () => {
    const running = await start(createTestEdge({ answer: () => toText('x'.repeat(5_000_000)) }));
    const client = await open();
    client.socket.pause();
    client.socket.write(post('{}'));
    await waitFor(() => running.callCount).toBe(1);
    const closed = running.close(5000);
    client.socket.resume();
    expect(await closed).toBe(0);
    await waitFor(() => client.isClosed).toBe(true);
    expect(client.received.length).toBeGreaterThan(5_000_000);
  });

  it('is the same stop when asked twice', async () => {
    const running = await start(createTestEdge());
    expect(running.close(10)).toBe(running.close(10));
    await running.close(10);
  });
});

describe('listening', () => {
  it('knows its port before the edge is made', async () => {
    const test = createTestEdge();
    let seen = 0;
    server = await startNodeServer({
      host: '127.0.0.1',
      port: 0,
      createEdge(address) {
        seen = address.port;
        return test.edge;
      },
    });
    expect(seen).toBe(server.address.port);
    expect(seen).toBeGreaterThan(0);
  });

  it('says in one sentence that the port is taken', async () => {
    const { address } = await start(createTestEdge());
    const attempt = startNodeServer({
      host: '127.0.0.1',
      port: address.port,
      createEdge: () => createTestEdge().edge,
    });
    await expect(attempt).rejects.toThrow(ConfigError);
    await expect(attempt).rejects.toThrow(`PORT: port ${address.port} on 127.0.0.1 is taken`);
  });

  it("says that an address is not this machine's", async () => {
    const attempt = startNodeServer({ host: '192.0.2.1', port: 0, createEdge: () => createTestEdge().edge });
    await expect(attempt).rejects.toThrow('HOST: 192.0.2.1 is not an address of this machine');
  });

  it('drops connections past its limit', async () => {
    await start(createTestEdge(), { maxConnections: 1 });
    const first = await open();
    const second = await open();
    await waitFor(() => second.isClosed).toBe(true);
    expect(first.isClosed).toBe(false);
  });

  it('serves many requests over kept connections', async () => {
    const running = await start(createTestEdge());
    const agent = new Agent({ keepAlive: true, maxSockets: 2 });
    const one = (index: number): Promise<string> =>
      new Promise((resolve, reject) => {
        const headers = { authorization: 'Bearer good' };
        const options = {
          port: running.address.port,
          host: '127.0.0.1',
          method: 'POST',
          path: '/mcp',
          headers,
          agent,
        };
        httpRequest(options, (reply) => void readText(reply).then(resolve, reject))
          .on('error', reject)
          .end(`n${index}`);
      });
    const texts = await Promise.all(Array.from({ length: 200 }, (_, index) => one(index)));
    expect(texts).toEqual(texts.map((_, index) => `n${index}`));
    agent.destroy();
  });
});
