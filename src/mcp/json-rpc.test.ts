import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '../errors.ts';
import {
  classify,
  isId,
  isRecord,
  maxBatchMessages,
  maxMessageDepth,
  parseBody,
  renderError,
  renderMessage,
  renderResult,
} from './json-rpc.ts';

const id = fc.oneof(fc.string(), fc.maxSafeInteger());
const object = fc.dictionary(fc.string(), fc.jsonValue());
const params = fc.option(object, { nil: undefined });
// Near misses: every field of a message, each right or wrong.
const nearMessage = fc.record(
  {
    jsonrpc: fc.oneof(fc.constant('2.0'), fc.constantFrom('1.0', 2, null)),
    id: fc.oneof(id, fc.constantFrom(null, 1.5, true, {}, [])),
    method: fc.oneof(fc.string(), fc.constantFrom(null, 1, {})),
    params: fc.oneof(object, fc.constantFrom(null, [], 'x')),
    result: fc.oneof(object, fc.constantFrom(null, 'x')),
    error: fc.oneof(fc.constant({ code: -1, message: 'no' }), fc.constantFrom(null, {}, { code: '1' })),
  },
  { requiredKeys: [] },
);

function codeOf(run: () => unknown): number | undefined {
  try {
    run();
  } catch (error) {
    return error instanceof ProtocolError ? error.code : undefined;
  }
  return undefined;
}

describe('telling a message apart', () => {
  it('gives every JSON value exactly one kind, and only well-formed messages a valid one', () => {
    fc.assert(
      fc.property(fc.oneof(nearMessage, fc.jsonValue()), (value) => {
        const found = classify(value);
        const fields: Record<string, unknown> = isRecord(value) ? value : {};
        const isFramed = isRecord(value) && fields['jsonrpc'] === '2.0';
        const hasId = fields['id'] !== undefined;
        switch (found.kind) {
          case 'request':
            return (
              isFramed &&
              isId(fields['id']) &&
              typeof fields['method'] === 'string' &&
              found.message === value
            );
          case 'notification':
            return isFramed && !hasId && typeof fields['method'] === 'string' && found.message === value;
          case 'response':
            return (
              isFramed &&
              isId(fields['id']) &&
              fields['method'] === undefined &&
              (isRecord(fields['result']) || isRecord(fields['error']))
            );
          case 'invalid':
            // The id of a broken request still finds its way back.
            return found.problem !== '' && (found.id === undefined || found.id === fields['id']);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['request', { jsonrpc: '2.0', id: 0, method: '' }],
    ['request', { jsonrpc: '2.0', id: '', method: 'a', params: {} }],
    ['notification', { jsonrpc: '2.0', method: 'a' }],
    ['response', { jsonrpc: '2.0', id: 1, result: {} }],
    ['response', { jsonrpc: '2.0', id: 'x', error: { code: 1, message: '' } }],
    // MCP: ids are strings or integers and never null; params are by name.
    ['invalid', { jsonrpc: '2.0', id: null, method: 'a' }],
    ['invalid', { jsonrpc: '2.0', id: 1.5, method: 'a' }],
    ['invalid', { jsonrpc: '2.0', id: 2 ** 60, method: 'a' }],
    ['invalid', { jsonrpc: '2.0', id: 1, method: 'a', params: [1] }],
    ['invalid', { id: 1, method: 'a' }],
    ['invalid', { jsonrpc: '2.0', id: 1 }],
    ['invalid', { jsonrpc: '2.0', result: {} }],
    ['invalid', []],
    ['invalid', null],
  ])('says %s of %j', (kind, value) => {
    expect(classify(value).kind).toBe(kind);
  });

  it('is not fooled by names of the prototype', () => {
    const body = parseBody(
      '{"jsonrpc":"2.0","id":1,"method":"a","params":{"__proto__":{"polluted":true},"constructor":1}}',
    );
    expect(body.kind).toBe('request');
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('a body', () => {
  it('that is not JSON is a parse error, whatever it is', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        let isJson = true;
        try {
          JSON.parse(text);
        } catch {
          isJson = false;
        }
        const code = codeOf(() => parseBody(text));
        return isJson ? code !== -32700 : code === -32700;
      }),
    );
  });

  it('nested as deep as allowed is read, deeper is refused before anything walks it', () => {
    const nested = (levels: number): string =>
      `{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":${'['.repeat(levels - 2)}1${']'.repeat(levels - 2)}}}`;
    expect(parseBody(nested(maxMessageDepth)).kind).toBe('request');
    expect(codeOf(() => parseBody(nested(maxMessageDepth + 1)))).toBe(-32600);
    expect(codeOf(() => parseBody('['.repeat(200_000) + ']'.repeat(200_000)))).toBe(-32600);
  });

  it('with many brackets that do not nest is read', () => {
    const text = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'a',
      params: { flat: Array.from({ length: 500 }, () => [{}]), text: '['.repeat(500) },
    });
    expect(parseBody(text).kind).toBe('request');
  });

  it('that is an array is a batch, with bounds', () => {
    const message = '{"jsonrpc":"2.0","method":"a"}';
    const batch = (count: number): string => `[${Array.from({ length: count }, () => message).join(',')}]`;
    const read = parseBody(batch(maxBatchMessages));
    expect(read).toMatchObject({ kind: 'batch' });
    expect(read.kind === 'batch' && read.messages.length).toBe(maxBatchMessages);
    expect(codeOf(() => parseBody(batch(maxBatchMessages + 1)))).toBe(-32600);
    expect(codeOf(() => parseBody('[]'))).toBe(-32600);
  });

  it('tells each message of a batch apart on its own', () => {
    const body = parseBody('[{"jsonrpc":"2.0","id":1,"method":"a"}, 5, [], {"jsonrpc":"2.0","method":"b"}]');
    expect(body.kind === 'batch' && body.messages.map(({ kind }) => kind)).toEqual([
      'request',
      'invalid',
      'invalid',
      'notification',
    ]);
  });
});

describe('what is rendered', () => {
  it('reads back as what went in, id and all', () => {
    fc.assert(
      fc.property(id, object, params, (anId, result, data) => {
        // JSON has one zero.
        const sentId = Object.is(anId, -0) ? 0 : anId;
        const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
        expect(JSON.parse(renderResult(anId, JSON.stringify(result)))).toEqual({
          jsonrpc: '2.0',
          id: sentId,
          result: plain(result),
        });
        expect(JSON.parse(renderError(anId, { code: -1, message: 'no "quotes"\n', data }))).toEqual({
          jsonrpc: '2.0',
          id: sentId,
          error: {
            code: -1,
            message: 'no "quotes"\n',
            ...(data === undefined ? {} : { data: plain(data) }),
          },
        });
        const message = { jsonrpc: '2.0', id: anId, method: 'x', params: result } as const;
        expect(parseBody(renderMessage(message))).toMatchObject({ kind: 'request' });
      }),
    );
  });

  it('is one line, so that it can be an event or a line of stdio', () => {
    fc.assert(
      fc.property(id, object, (anId, result) =>
        [renderResult(anId, JSON.stringify(result)), renderError(anId, { code: 1, message: 'a\nb\r' })].every(
          (text) => !/[\r\n]/.test(text),
        ),
      ),
    );
  });

  it('leaves out an id that could not be read', () => {
    expect(JSON.parse(renderError(undefined, { code: -32700, message: 'x' }))).not.toHaveProperty('id');
  });
});
