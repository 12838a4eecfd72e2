/** Headers, methods and paths that are missing, doubled, mismatched or nonsense, around right messages. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { type Aim, check, takeAim } from './aim.ts';
import type { Sent } from './exchange.ts';
import { legacyMessages, modernMessages, toModernHeaders } from './sound-messages.ts';
import { brokenText, mutated, valueText } from './wire-text.ts';

const timeoutMs = 240_000;
let aim: Aim;

beforeAll(async () => {
  aim = await takeAim();
  await aim.expectServing();
  aim.target.markHeap();
});

afterAll(async () => {
  await aim.close();
});

type Header = readonly [string, string];

const wrongValues = [
  '',
  ' ',
  ',',
  ';',
  '*',
  '*/*',
  '*/*;q=0',
  'application/json',
  'application/json;charset=utf-16',
  'application/json; q',
  'text/plain',
  'text/event-stream',
  'text/event-stream;q=0, application/json',
  'multipart/form-data; boundary=x',
  'APPLICATION/JSON',
  'application/json, text/event-stream',
  'gzip',
  'br, identity',
  'identity',
  '2026-07-28',
  '2025-03-26',
  '1.0',
  '2026-07-28, 2026-07-28',
  'tools/call',
  'TOOLS/CALL',
  'echo',
  '=?base64?ZWNobw==?=',
  '=?base64?ZWNobw?=',
  '=?base64?!?=',
  '=?base64?/w==?=',
  '=?base64??=',
  '=?base64?',
  '?=',
  'null',
  '__proto__',
  'constructor',
  'Bearer',
  'Bearer ',
  'Bearer x',
  'Basic eDp5',
  'bearer mooring_mcp_00',
  'Bearer a, Bearer b',
  '-1',
  '0',
  '1e9',
  '99999999999999999999',
  'x'.repeat(3000),
  '0.1',
  '1-0',
  'AAAA-1',
  '\u00ff\u00fe',
  '\t',
  'http://localhost',
  'https://evil.example',
  'null',
  '127.0.0.1',
  'evil.example',
  '[::1]',
  'localhost:99999',
];

const names = [
  'Authorization',
  'Content-Type',
  'Accept',
  'Mcp-Protocol-Version',
  'Mcp-Method',
  'Mcp-Name',
  'Mcp-Session-Id',
  'Last-Event-ID',
  'Mcp-Param-Region',
  'Mcp-Param-Count',
  'Mcp-Param-Dry',
  'Mcp-Param-Deep',
  'Mcp-Param-__proto__',
  'Mcp-Param-',
  'Content-Encoding',
  'Accept-Encoding',
  'Origin',
  'Host',
  'X-Request-Id',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'Forwarded',
  'Cookie',
  'Range',
  'If-None-Match',
  'Traceparent',
  'Baggage',
  '__proto__',
  'constructor',
  'Access-Control-Request-Method',
  'Access-Control-Request-Headers',
  'Expect',
  'Upgrade',
  'Connection',
  'TE',
  'Trailer',
  'Content-Length',
  'Transfer-Encoding',
];

const wrongValue = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...wrongValues) },
  { weight: 1, arbitrary: fc.string({ maxLength: 20 }) },
  { weight: 1, arbitrary: fc.base64String({ maxLength: 24 }).map((text) => `=?base64?${text}?=`) },
);
const wrongHeader = fc.tuple(fc.constantFrom(...names), wrongValue);

/** Headers that the door itself would use or wait on are for the sockets' own suite. */
const ofTheDoor = new Set([
  'content-length',
  'transfer-encoding',
  'connection',
  'upgrade',
  'expect',
  'te',
  'trailer',
]);

function mutatedHeaders(headers: readonly Header[]): fc.Arbitrary<readonly Header[]> {
  const each = headers.map(([name, value]) =>
    fc.oneof(
      { withCrossShrink: true },
      { weight: 10, arbitrary: fc.constant<Header[]>([[name, value]]) },
      { weight: 1, arbitrary: fc.constant<Header[]>([]) },
      {
        weight: 1,
        arbitrary: fc.constant<Header[]>([
          [name, value],
          [name, value],
        ]),
      },
      { weight: 1, arbitrary: wrongValue.map((wrong): Header[] => [[name, wrong]]) },
      {
        weight: 1,
        arbitrary: wrongValue.map((wrong): Header[] => [
          [name, value],
          [name, wrong],
        ]),
      },
    ),
  );
  return fc.tuple(...each, fc.array(wrongHeader, { maxLength: 2 })).map((parts) => parts.flat());
}

const door = fc.constantFrom('fetch' as const, 'http' as const);
const credential = '<credential>';
const sessionId = '<session>';

/** Puts in what is known only once the target runs. */
async function resolve(sent: Sent, door_: 'fetch' | 'http'): Promise<Sent> {
  const id = await aim.session('2025-11-25');
  const headers = sent.headers
    .map(([name, value]): Header => [name, value.replace(credential, aim.target.key).replace(sessionId, id)])
    .filter(
      ([name]) => !ofTheDoor.has(name.toLowerCase()) && (door_ === 'http' || name.toLowerCase() !== 'host'),
    );
  return { ...sent, headers };
}

const common: readonly Header[] = [
  ['Authorization', `Bearer ${credential}`],
  ['Content-Type', 'application/json'],
  ['Accept', 'application/json, text/event-stream'],
];

describe('headers', () => {
  test('of modern messages', { timeout: timeoutMs }, async () => {
    const each = modernMessages.map((message) =>
      fc.record({
        body: fc.constant(JSON.stringify(message)),
        headers: mutatedHeaders([...common, ...Object.entries(toModernHeaders(message))]),
        door,
      }),
    );
    await check(fc.oneof(...each), 5000, async ({ body, headers, door: way }) =>
      aim.fire(await resolve({ method: 'POST', path: '/mcp', headers, body }, way), way),
    );
  });

  test('of sessions: posts, streams and ends', { timeout: timeoutMs }, async () => {
    const inSession: readonly Header[] = [
      ...common,
      ['Mcp-Session-Id', sessionId],
      ['Mcp-Protocol-Version', '2025-11-25'],
    ];
    const cases = fc.record({
      method: fc.constantFrom('POST', 'POST', 'POST', 'GET', 'GET', 'DELETE'),
      message: fc.constantFrom(...legacyMessages),
      headers: mutatedHeaders(inSession),
      lastEventId: fc.option(wrongValue, { nil: undefined }),
      door,
    });
    await check(cases, 4000, async ({ method, message, headers, lastEventId, door: way }) => {
      const resuming: readonly Header[] = lastEventId === undefined ? [] : [['Last-Event-ID', lastEventId]];
      const sent: Sent = {
        method,
        path: '/mcp',
        headers: [...headers, ...(method === 'GET' ? resuming : [])],
        body: method === 'POST' ? JSON.stringify(message) : undefined,
      };
      return aim.fire(await resolve(sent, way), way);
    });
  });
});

describe('methods and paths', () => {
  const segment = fc.oneof(
    fc.constantFrom(
      'mcp',
      'MCP',
      'keys',
      'rotate',
      'health',
      'ready',
      '.well-known',
      'oauth-protected-resource',
      '',
      '.',
      '..',
      '%2e%2e',
      '%',
      '%00',
      '%ff',
      '%2F',
      '%zz',
    ),
    fc.constantFrom(
      'constructor',
      '__proto__',
      'toString',
      '{id}',
      'x'.repeat(300),
      ';x=1',
      '*',
      '\\..\\',
      'mcp%0d%0aX:y',
    ),
    fc.webSegment({ size: 'small' }),
  );
  const path = fc
    .tuple(
      fc.oneof(
        fc.constantFrom(
          '/mcp',
          '/mcp/keys',
          '/mcp/keys/x',
          '/mcp/keys/x/rotate',
          '/health',
          '/ready',
          '/.well-known/oauth-protected-resource/mcp',
        ),
        fc.array(segment, { maxLength: 6 }).map((segments) => `/${segments.join('/')}`),
      ),
      fc.constantFrom(
        '',
        '',
        '',
        '?',
        '?token=x',
        '?%ff=%',
        '?a=b&a=c',
        '?businessId=x&tenantId=y',
        '?tenantId=%00',
        '?cursor=%ff',
        '?limit=-1',
        '?limit=1e9',
        '?limit=x',
        `?${'a&'.repeat(200)}`,
      ),
    )
    .map((parts) => parts.join(''));
  const keyBody = mutated(
    {
      tenantId: 't',
      name: 'till',
      scopes: ['*'],
      role: 'merchant',
      expiresAt: '2030-01-01T00:00:00Z',
      isActive: true,
    },
    4,
  );

  test('odd, with odd bodies', { timeout: timeoutMs }, async () => {
    const cases = fc.record({
      method: fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'PROPFIND', 'FOO'),
      path,
      headers: mutatedHeaders(common),
      body: fc.oneof(keyBody, valueText, brokenText),
      door,
    });
    await check(cases, 5000, async ({ method, path: asked, headers, body, door: way }) => {
      const sent: Sent = {
        method,
        path: asked,
        headers,
        body: method === 'GET' || method === 'HEAD' ? undefined : body,
      };
      return aim.fire(await resolve(sent, way), way);
    });
  });

  test('of the key endpoints, with wrong bodies', { timeout: timeoutMs }, async () => {
    const cases = fc.record({
      row: fc.constantFrom<readonly [string, string]>(
        ['POST', '/mcp/keys'],
        ['PATCH', '/mcp/keys/x'],
        ['POST', '/mcp/keys/x/rotate'],
      ),
      body: keyBody,
      door,
    });
    await check(cases, 1500, async ({ row: [method, asked], body, door: way }) =>
      aim.fire(await resolve({ method, path: asked, headers: common, body }, way), way),
    );
  });
});
