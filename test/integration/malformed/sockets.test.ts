/** What no HTTP library would send: request lines, framing and headers as raw bytes. */
import { connect } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Aim, check, takeAim } from './aim.ts';
import { within } from './exchange.ts';
import { findFault } from './judgement.ts';
import { modernMessages, type SoundMessage, toModernHeaders } from './sound-messages.ts';

const timeoutMs = 240_000;
/** Sent at once. */
const together = 12;
/** A connection that is silent for so long is told that nothing more comes, or the target's own limits would be waited for. */
const silentMs = 80;
let aim: Aim;

beforeAll(async () => {
  aim = await takeAim();
  await aim.expectServing();
  aim.target.markHeap();
});

afterAll(async () => {
  await aim.close();
});

const echo = modernMessages.find(({ params }) => params?.['name'] === 'echo') as SoundMessage;
const body = JSON.stringify(echo);
const credential = '<credential>';
const host = '<host>';

/** Chooses mostly the first. */
function mostly(right: string, ...wrong: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 3, arbitrary: fc.constant(right) },
    { weight: 2, arbitrary: fc.constantFrom(...wrong) },
  );
}

const requestLine = fc
  .tuple(
    mostly(
      'POST',
      'GET',
      'DELETE',
      'OPTIONS',
      'HEAD',
      'PUT',
      'TRACE',
      'CONNECT',
      'PRI',
      'get',
      'P\u0000ST',
      '',
      'POST\t',
      'M-SEARCH',
      'X'.repeat(9000),
    ),
    mostly(
      '/mcp',
      `http://${host}/mcp`,
      'http://evil.example/mcp',
      'http://',
      'https://[::1/mcp',
      `http://user:pass@${host}/mcp`,
      '*',
      '',
      'mcp',
      '//mcp',
      `${host}`,
      '/mcp#x',
      '/mcp\u0000',
      '/mcp\u00ff',
      '/mcp?a b',
      '/mcp/keys/%',
      'http://:0/mcp',
      'file:///etc/passwd',
      'javascript:alert(1)',
      `/${'a'.repeat(20_000)}`,
    ),
    mostly(
      'HTTP/1.1',
      'HTTP/1.0',
      'HTTP/2.0',
      'HTTP/0.9',
      '',
      'HTTP/1.1 ',
      'http/1.1',
      'HTTP/9.9',
      'HTTQ/1.1',
    ),
  )
  .map((parts) => parts.join(' '));

const oddLine = fc.constantFrom(
  'Content-Length: -1',
  'Content-Length: 0x10',
  'Content-Length: 1e3',
  'Content-Length: +5',
  'Content-Length: 5, 5',
  'Content-Length: 5, 6',
  'Content-Length: ',
  'Content-Length: 99999999999999999999',
  'Content-Length: 4194304',
  'Content-Length: 9007199254740993',
  'Content-Length: 0',
  'Content-Length : 5',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding:\u000bchunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
  'Transfer-Encoding : chunked',
  'TE: trailers',
  'Expect: 100-continue',
  'Expect: 200-maybe',
  'Upgrade: h2c\r\nConnection: Upgrade',
  'Upgrade: websocket\r\nConnection: Upgrade',
  'Connection: keep-alive, close',
  'Host: evil.example',
  'Host:',
  'Host: a, b',
  'Authorization: Bearer x',
  'Authorization:',
  'Origin: null',
  'Origin: http://evil.example\r\nOrigin: null',
  'Content-Encoding: gzip',
  'Content-Encoding: identity, gzip',
  'Content-Type: application/json\r\nContent-Type: text/plain',
  'Content-Type: text/plain',
  'Mcp-Session-Id: \u00ff\u00fe',
  'Mcp-Session-Id: x\r\nMcp-Session-Id: y',
  'Mcp-Method: tools/list\r\nMcp-Method: tools/call',
  'Mcp-Name: \u0001',
  'Mcp-Name: a\tb',
  'No colon',
  ': no name',
  'Spa ce: x',
  'X: a\r\n folded',
  ' Leading: x',
  'X: a\nY: b',
  'X: a\rY: b',
  'X: \u0000',
  'X\u0000: y',
  '\u0000',
  `X: ${'x'.repeat(17_000)}`,
  `${'x'.repeat(17_000)}: x`,
  Array.from({ length: 150 }, (_, at) => `X-${at}: y`).join('\r\n'),
  Array.from({ length: 3000 }, (_, at) => `X${at}: y`).join('\r\n'),
  '__proto__: x',
  'constructor: x',
  'Trailer: Mcp-Method',
);

const length = Buffer.byteLength(body);
const framedBody = fc.constantFrom<readonly [line: string | undefined, text: string]>(
  [`Content-Length: ${length}`, body],
  [`Content-Length: ${length + 10}`, body],
  [`Content-Length: ${length - 10}`, body],
  [`Content-Length: ${length}`, `${body}${body}`],
  [`Content-Length: ${length}`, `${body}POST /mcp HTTP/1.1\r\nHost: x\r\n\r\n`],
  [`Content-Length: ${length}`, `${body}\u0000\u0001\u0002`],
  [`Content-Length: ${length}`, ''],
  ['Transfer-Encoding: chunked', `${length.toString(16)}\r\n${body}\r\n0\r\n\r\n`],
  ['Transfer-Encoding: chunked', `${length.toString(16)};${'x'.repeat(20_000)}\r\n${body}\r\n0\r\n\r\n`],
  [
    'Transfer-Encoding: chunked',
    `${length.toString(16)}\r\n${body}\r\n0\r\nMcp-Method: x\r\nAuthorization: Bearer y\r\n\r\n`,
  ],
  ['Transfer-Encoding: chunked', 'zz\r\n'],
  ['Transfer-Encoding: chunked', 'ffffffffffffffffff\r\nx'],
  ['Transfer-Encoding: chunked', '-1\r\nx\r\n'],
  ['Transfer-Encoding: chunked', '0\r\n\r\n'],
  ['Transfer-Encoding: chunked', '5\r\nhel'],
  ['Transfer-Encoding: chunked', '1\r\n{\r\n'.repeat(50)],
  [undefined, body],
  [undefined, ''],
);

const right: readonly string[] = [
  `Host: ${host}`,
  `Authorization: Bearer ${credential}`,
  'Content-Type: application/json',
  'Accept: application/json, text/event-stream',
  ...Object.entries(toModernHeaders(echo)).map(([name, value]) => `${name}: ${value}`),
];

const requestText = fc
  .record({
    start: mostly(
      '',
      '\r\n',
      '\r\n\r\n',
      '\n',
      ' ',
      '\u0000',
      '\u0016\u0003\u0001',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    ),
    line: requestLine,
    lines: fc.subarray([...right], { minLength: right.length - 1 }),
    odd: fc.array(oddLine, { maxLength: 2 }),
    oddFirst: fc.boolean(),
    framing: framedBody,
    lineEnd: mostly('\r\n', '\n', '\r', '\r\n\r\n'),
  })
  .map(({ start, line, lines, odd, oddFirst, framing: [framingLine, text], lineEnd }) => {
    const framing = framingLine === undefined ? [] : [framingLine];
    const head = oddFirst ? [line, ...odd, ...lines, ...framing] : [line, ...lines, ...framing, ...odd];
    return `${start}${head.join(lineEnd)}${lineEnd}${lineEnd}${text}`;
  });

const garbage = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('latin1'));

/** Sends bytes and gathers what comes until the host closes, or until it has answered and waits for more. */
async function exchange(text: string, isPatient = false): Promise<string> {
  const { hostname, port, host: authority } = new URL(aim.target.origin);
  const bytes = Buffer.from(
    text.replaceAll(host, authority).replaceAll(credential, aim.target.key),
    'latin1',
  );
  const socket = connect({ host: hostname, port: Number(port) });
  let received = '';
  const closed = new Promise<void>((resolve) => {
    // A host that has refused may reset what is still being sent.
    socket
      .on('error', () => {})
      .on('close', () => {
        resolve();
      });
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      received += chunk;
      // Whatever else was sent after the first answer may keep the connection open: it is let go.
      if (isWhole(received)) socket.destroySoon();
    });
  });
  socket.write(bytes);
  const silence = isPatient ? undefined : setTimeout(() => socket.end(), silentMs);
  await within(closed, text);
  clearTimeout(silence);
  return received;
}

function isWhole(received: string): boolean {
  const end = received.indexOf('\r\n\r\n');
  if (end === -1 || received.startsWith('HTTP/1.1 100')) return false;
  const declared = /\r\ncontent-length: (\d+)/i.exec(received.slice(0, end))?.[1];
  return received.length >= end + 4 + Number(declared ?? 0);
}

async function fireBytes(text: string): Promise<void> {
  const received = (await exchange(text)).replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '');
  // Nothing: the host closed without a word, as it does where a reply could be taken for another request's.
  if (received === '') return;
  const [, status] = /^HTTP\/1\.1 (\d{3}) /.exec(received) ?? [];
  expect(status, `not HTTP: ${received.slice(0, 200)}`).toBeDefined();
  const end = received.indexOf('\r\n\r\n');
  const sent = { method: 'POST', path: '/', headers: [], body: undefined };
  const reply = {
    status: Number(status),
    headers: { head: received.slice(0, end) },
    body: received.slice(end + 4),
  };
  expect(
    findFault(sent, reply, [aim.target.key]),
    `${text.slice(0, 2000)}\n-> ${received.slice(0, 1000)}`,
  ).toBeUndefined();
}

describe('raw requests', () => {
  test('with wrong lines, headers and framing', { timeout: timeoutMs }, async () => {
    await check(fc.array(requestText, { minLength: 1, maxLength: together }), 400, async (texts) => {
      await Promise.all(texts.map(fireBytes));
      expect(aim.target.takeFaults()).toEqual([]);
    });
    await aim.expectServing();
  });

  test('that are no requests at all', { timeout: timeoutMs }, async () => {
    await check(fc.array(garbage, { minLength: 1, maxLength: together }), 60, async (texts) => {
      await Promise.all(texts.map(fireBytes));
      expect(aim.target.takeFaults()).toEqual([]);
    });
    await aim.expectServing();
  });

  test('that stop in the middle are told so and cut', async () => {
    const whole = `POST /mcp HTTP/1.1\r\n${right.join('\r\n')}\r\nContent-Length: ${length}\r\n\r\n${body}`;
    const cuts = Array.from({ length: 24 }, (_, at) => Math.floor((at * whole.length) / 24));
    const received = await Promise.all(cuts.map((at) => exchange(whole.slice(0, at), true)));
    for (const [index, text] of received.entries()) {
      // Where nothing was sent, there is no request to answer.
      if (index > 0) expect(text).toMatch(/^HTTP\/1\.1 408 /);
    }
    expect(aim.target.takeFaults()).toEqual([]);
  });

  test('that leave in the middle hold nothing', { timeout: timeoutMs }, async () => {
    const whole = `POST /mcp HTTP/1.1\r\n${right.join('\r\n')}\r\nContent-Length: ${length}\r\n\r\n${body}`;
    await check(
      fc.array(fc.nat({ max: whole.length }), { minLength: together, maxLength: together }),
      30,
      async (cuts) => {
        await Promise.all(cuts.map((at) => leaveAfter(whole.slice(0, at))));
        expect(aim.target.takeFaults()).toEqual([]);
      },
    );
    await aim.expectServing();
  });
});

function leaveAfter(text: string): Promise<void> {
  const { hostname, port, host: authority } = new URL(aim.target.origin);
  const bytes = Buffer.from(text.replaceAll(host, authority).replaceAll(credential, aim.target.key));
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) }, () => {
      socket.write(bytes, () => socket.resetAndDestroy());
    });
    socket
      .on('error', () => {})
      .on('close', () => {
        resolve();
      });
  });
}
