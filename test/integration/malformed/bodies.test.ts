/** Bodies whose bytes, depth or size are wrong, and those just within the bounds. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { maxBatchMessages, maxMessageDepth } from '../../../src/mcp/json-rpc.ts';
import { type Aim, check, takeAim, toPost, toSessionHeaders } from './aim.ts';
import type { Received } from './exchange.ts';
import {
  legacyMessages,
  modernMessages,
  type SoundMessage,
  toInitialize,
  toModernHeaders,
} from './sound-messages.ts';
import { maxBodyBytes } from './target-host.ts';

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

const keep = modernMessages.find(({ params }) => params?.['name'] === 'keep') as SoundMessage;

/** A right call whose argument is this text. */
function toKeepCall(argument: string): string {
  return JSON.stringify({ ...keep, params: { ...keep.params, arguments: { any: '#' } } }).replace(
    '"#"',
    () => argument,
  );
}

function post(body: string | Uint8Array, door: 'fetch' | 'http' = 'http'): Promise<Received | undefined> {
  return aim.fire(toPost(body, { ...aim.headers, ...toModernHeaders(keep) }), door);
}

describe('bytes', () => {
  const edit = fc.oneof(
    fc.record({ at: fc.nat(), remove: fc.nat({ max: 3 }), put: fc.uint8Array({ maxLength: 4 }) }),
    fc.record({
      at: fc.constantFrom(0, 1e9),
      remove: fc.constant(0),
      put: fc
        .constantFrom('efbbbf', 'fffe', '00', 'c080', 'eda080', 'f5808080', 'ff')
        .map((hex) => Buffer.from(hex, 'hex')),
    }),
    fc.record({ at: fc.nat(), remove: fc.constant(1e9), put: fc.constant(Buffer.alloc(0)) }),
  );

  test('changed anywhere are refused or read as JSON', { timeout: timeoutMs }, async () => {
    const cases = fc.tuple(
      fc.constantFrom(...modernMessages, ...legacyMessages),
      fc.array(edit, { minLength: 1, maxLength: 3 }),
      fc.constantFrom<BufferEncoding>('utf8', 'utf8', 'utf8', 'utf16le', 'base64'),
    );
    await check(cases, 4000, ([message, edits, encoding]) => {
      let bytes: Uint8Array = Buffer.from(
        Buffer.from(JSON.stringify(message)).toString(encoding),
        encoding === 'utf16le' ? 'latin1' : 'utf8',
      );
      if (encoding === 'utf16le') bytes = Buffer.from(JSON.stringify(message), 'utf16le');
      for (const { at, remove, put } of edits) {
        const from = at % (bytes.length + 1);
        bytes = Buffer.concat([bytes.subarray(0, from), put, bytes.subarray(from + remove)]);
      }
      return aim.fire(toPost(bytes, { ...aim.headers, ...toModernHeaders(message) }), 'http');
    });
  });
});

describe('depth', () => {
  /** Levels of a call around its argument. */
  const around = 4;
  const shapes = {
    arrays: (depth: number) => '['.repeat(depth) + ']'.repeat(depth),
    objects: (depth: number) => `${'{"a":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`,
    prototypes: (depth: number) => `${'{"__proto__":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`,
  };

  test.each(Object.entries(shapes))(
    'of %s up to the limit is served, and past it refused',
    async (_name, nest) => {
      const served = await post(toKeepCall(nest(maxMessageDepth - around)));
      expect(served?.body).toContain('"result"');
      for (const depth of [maxMessageDepth, maxMessageDepth + 1, 1000, 15_000]) {
        const refused = await post(toKeepCall(nest(depth)));
        expect(refused).toMatchObject({
          status: 400,
          body: expect.stringContaining('nested deeper') as string,
        });
      }
    },
  );

  test('in place of any member is refused', async () => {
    for (const member of ['jsonrpc', 'id', 'method', 'params', 'extra']) {
      for (const nest of Object.values(shapes)) {
        const text = JSON.stringify({ ...keep, [member]: '#' }).replace('"#"', () => nest(15_000));
        expect((await post(text))?.status).toBe(400);
      }
    }
    for (const nest of Object.values(shapes)) expect((await post(nest(15_000)))?.status).toBe(400);
    expect((await post('['.repeat(maxBodyBytes)))?.status).toBe(400);
  });
});

describe('size', () => {
  test('of a body is bounded to the byte', async () => {
    const padding = maxBodyBytes - toKeepCall('""').length;
    for (const door of ['fetch', 'http'] as const) {
      expect((await post(toKeepCall(`"${'x'.repeat(padding)}"`), door))?.status).toBe(200);
      expect((await post(toKeepCall(`"${'x'.repeat(padding + 1)}"`), door))?.status).toBe(413);
      expect((await post('x'.repeat(4 * maxBodyBytes), door))?.status).toBe(413);
    }
  });

  test('of arrays, objects and numbers is what the body may hold', async () => {
    const many = Array.from({ length: 20_000 }, (_, index) => index);
    const arguments_ = [
      JSON.stringify(many),
      JSON.stringify(Object.fromEntries(many.map((at) => [`k${at}`, 0]))),
      `[${'{},'.repeat(50_000)}{}]`,
      `{${'"a":1,'.repeat(30_000)}"a":2}`,
      '9'.repeat(200_000),
      `-0.${'1'.repeat(200_000)}e-400`,
      `"${'\\ud800'.repeat(30_000)}"`,
    ];
    for (const text of arguments_) expect((await post(toKeepCall(text)))?.status).toBe(200);
  });

  test('of ids, methods, names and URIs is echoed or refused', async () => {
    const giant = 'g'.repeat(200_000);
    const { params } = keep;
    const read = { ...keep, method: 'resources/read', params: { ...params, uri: giant } };
    for (const message of [
      { ...keep, id: giant },
      { ...keep, method: giant },
      { ...keep, [giant]: 1 },
      { ...keep, params: { ...params, name: giant } },
      { ...keep, params: { ...params, requestState: giant } },
      {
        ...keep,
        params: { ...params, _meta: { ...(params?.['_meta'] as object), [giant]: 1, progressToken: giant } },
      },
      read,
    ]) {
      await post(JSON.stringify(message));
      const inSession = await toSessionHeaders(aim, '2025-06-18');
      const legacyParams = { ...message.params, _meta: undefined };
      await aim.fire(toPost(JSON.stringify({ ...message, params: legacyParams }), inSession), 'http');
    }
  });

  test('of what a session would keep of its client is bounded', async () => {
    const initialize = toInitialize('2025-11-25');
    const { params } = initialize;
    const giant = 'g'.repeat(100_000);
    for (const part of [
      { clientInfo: { name: giant, version: '1' } },
      { clientInfo: { name: 'n', version: giant } },
      { clientInfo: { name: 'n', version: '1', title: giant } },
      { capabilities: { experimental: { [giant]: {} } } },
    ]) {
      const received = await aim.fire(
        toPost(JSON.stringify({ ...initialize, params: { ...params, ...part } }), aim.headers),
      );
      expect(received?.headers).not.toHaveProperty('mcp-session-id');
      expect(received?.body).toContain('-32602');
    }
  });

  test('of a batch is bounded', async () => {
    const headers = await toSessionHeaders(aim, '2025-03-26');
    const toBatch = (count: number): string =>
      JSON.stringify(Array.from({ length: count }, (_, id) => ({ jsonrpc: '2.0', id, method: 'ping' })));
    expect((await aim.fire(toPost(toBatch(maxBatchMessages), headers)))?.status).toBe(200);
    expect((await aim.fire(toPost(toBatch(maxBatchMessages + 1), headers)))?.status).toBe(400);
    expect((await aim.fire(toPost(`[${'[],'.repeat(90)}[]]`, headers)))?.status).toBe(400);
    for (const version of ['2025-06-18', '2025-11-25']) {
      const refused = await aim.fire(toPost(toBatch(1), await toSessionHeaders(aim, version)));
      expect(refused).toMatchObject({
        status: 400,
        body: expect.stringContaining('has no batches') as string,
      });
    }
  });
});
