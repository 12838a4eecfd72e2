/** HTTP requests as bytes, wrong in ways that no HTTP library would send. */
import fc from 'fast-check';
import { modernMessages, type SoundMessage, toModernHeaders } from './sound-messages.ts';

const echo = modernMessages.find(({ params }) => params?.['name'] === 'echo') as SoundMessage;
const body = JSON.stringify(echo);
/** Stands for a right credential, known once the target runs. */
export const credentialMark = '<credential>';
/** Stands for the target's own host and port. */
export const hostMark = '<host>';

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
      `http://${hostMark}/mcp`,
      'http://evil.example/mcp',
      'http://',
      'https://[::1/mcp',
      `http://user:pass@${hostMark}/mcp`,
      '*',
      '',
      'mcp',
      '//mcp',
      `${hostMark}`,
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
  `Host: ${hostMark}`,
  `Authorization: Bearer ${credentialMark}`,
  'Content-Type: application/json',
  'Accept: application/json, text/event-stream',
  ...Object.entries(toModernHeaders(echo)).map(([name, value]) => `${name}: ${value}`),
];

/** A request's bytes, one character each, right but for a few things. */
export const rawRequest: fc.Arbitrary<string> = fc
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

/** Bytes that begin no request. */
export const noRequest: fc.Arbitrary<string> = fc
  .uint8Array({ maxLength: 200 })
  .map((bytes) => Buffer.from(bytes).toString('latin1'));

/** A right request. */
export const soundRequest: string = `POST /mcp HTTP/1.1\r\n${right.join('\r\n')}\r\nContent-Length: ${length}\r\n\r\n${body}`;
