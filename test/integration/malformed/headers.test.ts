/** Headers, methods and paths that are missing, doubled, mismatched or nonsense, around right messages. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { type Aim, check, takeAim } from './aim.ts';
import type { Sent } from './exchange.ts';
import { legacyMessages, modernMessages, toModernHeaders } from './sound-messages.ts';
import { brokenText, mutated, valueText } from './wire-text.ts';
import { type Header, mutatedHeaders, ofTheDoor, wrongValue } from './wrong-headers.ts';

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
