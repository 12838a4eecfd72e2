import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { ProtocolError } from '../errors.ts';
import { checkParameterHeaders, decodeHeaderValue, findParameterHeaders } from './parameter-headers.ts';
import { compileSchema } from './schema.ts';
import type { JsonSchema } from './server-definition.ts';

/** Encodes as the specification tells clients to: MCP 2026-07-28, Streamable HTTP, Value Encoding. */
function encodeAsClient(value: string | number | boolean): string {
  const text = String(value);
  const isPlain = /^[\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?$/.test(text) || text === '';
  const isSentinel = text.startsWith('=?base64?') && text.endsWith('?=');
  return isPlain && !isSentinel ? text : `=?base64?${Buffer.from(text, 'utf8').toString('base64')}?=`;
}

const annotated: JsonSchema = {
  type: 'object',
  properties: {
    region: { type: 'string', 'x-mcp-header': 'Region' },
    count: { type: 'integer', 'x-mcp-header': 'Count' },
    deep: { type: 'object', properties: { flag: { type: 'boolean', 'x-mcp-header': 'Flag' } } },
    free: { type: 'string' },
  },
};
const declared = findParameterHeaders(annotated, 'test');

function codeOf(headers: Record<string, string>, input: Record<string, unknown>): number | undefined {
  try {
    checkParameterHeaders(declared, headers, input);
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
  return undefined;
}

describe('annotations', () => {
  it('are found by the path of their property, their names in lower case', () => {
    expect(declared).toEqual([
      { header: 'mcp-param-region', path: ['region'], type: 'string' },
      { header: 'mcp-param-count', path: ['count'], type: 'integer' },
      { header: 'mcp-param-flag', path: ['deep', 'flag'], type: 'boolean' },
    ]);
  });

  it('are found in what zod lists', () => {
    const { json } = compileSchema(
      z.object({ region: z.string().meta({ 'x-mcp-header': 'Region' }), rest: z.int() }),
      'test',
    );
    expect(findParameterHeaders(json, 'test')).toEqual([
      { header: 'mcp-param-region', path: ['region'], type: 'string' },
    ]);
  });

  const string = (name: unknown): JsonSchema => ({ type: 'string', 'x-mcp-header': name });
  it.each<[string, JsonSchema]>([
    ['an empty name', { properties: { a: string('') } }],
    ['a name with a space', { properties: { a: string('my region') } }],
    ['a name with a colon', { properties: { a: string('a:b') } }],
    ['a name with a line break', { properties: { a: string('a\r\nb') } }],
    ['a name outside ASCII', { properties: { a: string('région') } }],
    ['a name that is no string', { properties: { a: string(1) } }],
    ['names that differ only in case', { properties: { a: string('Region'), b: string('REGION') } }],
    ['type number', { properties: { a: { type: 'number', 'x-mcp-header': 'A' } } }],
    ['type object', { properties: { a: { type: 'object', 'x-mcp-header': 'A' } } }],
    ['no type', { properties: { a: { 'x-mcp-header': 'A' } } }],
    ['the root', { 'x-mcp-header': 'A', properties: {} }],
    ['items', { properties: { a: { type: 'array', items: string('A') } } }],
    ['anyOf', { properties: { a: { anyOf: [string('A')] } } }],
    ['allOf of the root', { allOf: [{ properties: { a: string('A') } }] }],
    // oxlint-disable-next-line unicorn/no-thenable
    ['then', { then: { properties: { a: string('A') } } }],
    ['$defs behind $ref', { properties: { a: { $ref: '#/$defs/a' } }, $defs: { a: string('A') } }],
    ['additionalProperties', { additionalProperties: string('A') }],
  ])('are refused at %s', (_, schema) => {
    expect(() => findParameterHeaders({ type: 'object', ...schema }, 'tool "x": input')).toThrow(
      /^tool "x": input: /,
    );
  });

  it('are not confused with a property of that name', () => {
    const schema = { properties: { 'x-mcp-header': { type: 'string' } } };
    expect(findParameterHeaders(schema, 'test')).toEqual([]);
  });
});

// The specification's own table.
describe('decoding a header value', () => {
  it.each([
    ['us-west1', 'us-west1'],
    ['=?base64?SGVsbG8sIOS4lueVjA==?=', 'Hello, 世界'],
    ['=?base64?IHBhZGRlZCA=?=', ' padded '],
    ['=?base64?bGluZTEKbGluZTI=?=', 'line1\nline2'],
    ['=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=', '=?base64?literal?='],
    ['=?base64??=', ''],
    // The markers are case-sensitive, and one of them alone marks nothing.
    ['=?BASE64?YQ==?=', '=?BASE64?YQ==?='],
    ['=?base64?YQ==', '=?base64?YQ=='],
    ['YQ==?=', 'YQ==?='],
  ])('%s is %j', (sent, value) => {
    expect(decodeHeaderValue(sent)).toBe(value);
  });

  it.each([
    ['not base64', '=?base64?a*b=?='],
    ['a wrong length', '=?base64?YQ?='],
    ['not canonical', '=?base64?YR==?='],
    ['base64url', '=?base64?-_-_?='],
    ['not UTF-8', '=?base64?/w==?='],
    ['markers that overlap', '=?base64?='],
    ['a control character', 'a\u0001b'],
    ['beyond ASCII', 'é'],
    ['a line break', 'a\r\nx: y'],
  ])('refuses %s', (_, sent) => {
    expect(decodeHeaderValue(sent)).toBeUndefined();
  });

  it('undoes what a client encodes, whatever the value', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        (value) => decodeHeaderValue(encodeAsClient(value)) === value,
      ),
      { numRuns: 1000 },
    );
  });
});

describe('checking parameter headers', () => {
  const value = fc.record({
    region: fc.option(fc.string({ unit: 'grapheme' })),
    count: fc.option(fc.maxSafeInteger()),
    flag: fc.option(fc.boolean()),
  });

  const toInput = ({ region, count, flag }: Record<string, unknown>): Record<string, unknown> => ({
    region,
    count,
    deep: { flag },
    free: 'x',
  });
  const toHeaders = (values: Record<string, unknown>): Record<string, string> =>
    Object.fromEntries(
      Object.entries(values).flatMap(([key, item]) =>
        item === null ? [] : [[`mcp-param-${key}`, encodeAsClient(item as string | number | boolean)]],
      ),
    );

  it('passes what a conforming client sends', () => {
    fc.assert(
      fc.property(value, (values) => codeOf(toHeaders(values), toInput(values)) === undefined),
      { numRuns: 1000 },
    );
  });

  it('refuses any other value with -32020', () => {
    fc.assert(
      fc.property(value, value, fc.constantFrom('region', 'count', 'flag'), (values, others, key) => {
        fc.pre(values[key] !== others[key] && !(values[key] === 0 && others[key] === 0));
        const headers = { ...toHeaders(values) };
        delete headers[`mcp-param-${key}`];
        const wrong = toHeaders(others)[`mcp-param-${key}`];
        if (wrong !== undefined) headers[`mcp-param-${key}`] = wrong;
        return codeOf(headers, toInput(values)) === -32020;
      }),
      { numRuns: 1000 },
    );
  });

  it('treats null and absent alike: no header is expected, and one that comes is refused', () => {
    expect(codeOf({}, { region: null })).toBeUndefined();
    expect(codeOf({}, {})).toBeUndefined();
    expect(codeOf({ 'mcp-param-region': 'x' }, { region: null })).toBe(-32020);
    expect(codeOf({ 'mcp-param-flag': 'true' }, { deep: 'not an object' })).toBe(-32020);
  });

  it('compares integers by value and reads them in decimal only', () => {
    expect(codeOf({ 'mcp-param-count': '42.0' }, { count: 42 })).toBeUndefined();
    expect(codeOf({ 'mcp-param-count': '-7' }, { count: -7 })).toBeUndefined();
    // Another reader of the header would take these for something else.
    for (const sent of ['0x2a', '0b101010', '', ' ', '42 ', '42n', '4_2'])
      expect([sent, codeOf({ 'mcp-param-count': sent }, { count: 42 })]).toEqual([sent, -32020]);
    expect(codeOf({ 'mcp-param-count': '42' }, { count: '42' })).toBe(-32020);
  });

  it('refuses integers beyond the safe range, where two texts are one number', () => {
    expect(codeOf({ 'mcp-param-count': '9007199254740993' }, { count: 9007199254740992 })).toBe(-32020);
    expect(codeOf({ 'mcp-param-count': 'Infinity' }, { count: Number.POSITIVE_INFINITY })).toBe(-32020);
  });

  it('does not take the text of a value for the value', () => {
    expect(codeOf({ 'mcp-param-flag': 'true' }, { deep: { flag: 'true' } })).toBe(-32020);
    expect(codeOf({ 'mcp-param-region': '5' }, { region: 5 })).toBe(-32020);
  });

  it('reads only what the arguments own', () => {
    const schema = { properties: { constructor: { type: 'string', 'x-mcp-header': 'C' } } };
    expect(() => {
      checkParameterHeaders(findParameterHeaders(schema, 'test'), {}, {});
    }).not.toThrow();
  });
});
