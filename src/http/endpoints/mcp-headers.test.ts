import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError, RequestError } from '../../errors.ts';
import {
  checkRequestHeaders,
  checkVersionHeader,
  requireBothAccepted,
  requireEventStreamAccepted,
  requireJsonBody,
  toParameterHeaders,
} from './mcp-headers.ts';

function failureOf(run: () => void): string | number | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof RequestError || error instanceof ProtocolError) return error.code;
    throw error;
  }
  return undefined;
}

describe('Content-Type', () => {
  it.each([
    'application/json',
    'application/json; charset=utf-8',
    'Application/JSON',
    ' application/json ;x=y',
  ])('may be %s', (type) => {
    expect(failureOf(() => requireJsonBody({ 'content-type': type }))).toBeUndefined();
  });

  // What a web form of any page can send without asking is not JSON.
  it.each([
    undefined,
    '',
    'text/plain',
    'text/plain; application/json',
    'application/jsonp',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'text/json',
  ])('may not be %s', (type) => {
    expect(failureOf(() => requireJsonBody({ 'content-type': type }))).toBe('unsupported_media_type');
  });
});

describe('Accept of a POST', () => {
  it.each([
    'application/json, text/event-stream',
    'text/event-stream,application/json',
    'application/json;q=0.5, text/event-stream; q=0.1',
    'APPLICATION/JSON, Text/Event-Stream',
    '*/*',
    'application/*, text/*',
    'text/html, */*;q=0.8',
    undefined,
  ])('may be %s', (accept) => {
    expect(failureOf(() => requireBothAccepted({ accept }))).toBeUndefined();
  });

  it.each([
    'application/json',
    'text/event-stream',
    '',
    'text/html',
    'application/json;q=0, text/event-stream',
    'application/json, text/event-stream;q=0.0',
    'application/jsonx, text/event-streams',
    'application/json text/event-stream',
  ])('may not be %j', (accept) => {
    expect(failureOf(() => requireBothAccepted({ accept }))).toBe('not_acceptable');
  });

  it('never fails in another way, whatever it is', () => {
    fc.assert(
      fc.property(fc.string(), (accept) =>
        [undefined, 'not_acceptable'].includes(failureOf(() => requireBothAccepted({ accept })) as string),
      ),
    );
  });
});

describe('Accept of a GET', () => {
  it('must take an event stream', () => {
    expect(failureOf(() => requireEventStreamAccepted({ accept: 'text/event-stream' }))).toBeUndefined();
    expect(failureOf(() => requireEventStreamAccepted({ accept: '*/*' }))).toBeUndefined();
    expect(failureOf(() => requireEventStreamAccepted({ accept: 'application/json' }))).toBe(
      'not_acceptable',
    );
    expect(failureOf(() => requireEventStreamAccepted({}))).toBe('not_acceptable');
  });
});

describe('MCP-Protocol-Version', () => {
  it('must be there and say what the body says', () => {
    const headers = { 'mcp-protocol-version': '2026-07-28' };
    expect(failureOf(() => checkVersionHeader(headers, '2026-07-28'))).toBeUndefined();
    expect(failureOf(() => checkVersionHeader({}, '2026-07-28'))).toBe(-32020);
    expect(failureOf(() => checkVersionHeader(headers, '2025-11-25'))).toBe(-32020);
    expect(failureOf(() => checkVersionHeader(headers, 20260728))).toBe(-32020);
  });
});

describe('Mcp-Method and Mcp-Name', () => {
  const check = (
    headers: Record<string, string>,
    method: string,
    params: Record<string, unknown> = {},
  ): string | number | undefined =>
    failureOf(() => {
      checkRequestHeaders(headers, { jsonrpc: '2.0', id: 1, method, params });
    });

  it('must mirror the body', () => {
    expect(check({ 'mcp-method': 'tools/list' }, 'tools/list')).toBeUndefined();
    for (const [method, field] of [
      ['tools/call', 'name'],
      ['prompts/get', 'name'],
      ['resources/read', 'uri'],
    ] as const) {
      expect(check({ 'mcp-method': method, 'mcp-name': 'x' }, method, { [field]: 'x' })).toBeUndefined();
      expect(check({ 'mcp-method': method }, method, { [field]: 'x' })).toBe(-32020);
      expect(check({ 'mcp-method': method, 'mcp-name': 'y' }, method, { [field]: 'x' })).toBe(-32020);
      expect(check({ 'mcp-method': method, 'mcp-name': 'x' }, method, {})).toBe(-32020);
    }
  });

  it('are refused when the method is missing, another, or in another case', () => {
    expect(check({}, 'tools/list')).toBe(-32020);
    expect(check({ 'mcp-method': 'tools/call' }, 'tools/list')).toBe(-32020);
    expect(check({ 'mcp-method': 'Tools/List' }, 'tools/list')).toBe(-32020);
  });

  it('need no name where the method has none', () => {
    expect(check({ 'mcp-method': 'tools/list', 'mcp-name': 'whatever' }, 'tools/list')).toBeUndefined();
    expect(check({ 'mcp-method': 'toString' }, 'toString')).toBeUndefined();
  });

  it('carry names outside ASCII behind the sentinel', () => {
    const call = (sent: string, name: string): string | number | undefined =>
      check({ 'mcp-method': 'tools/call', 'mcp-name': sent }, 'tools/call', { name });
    expect(call('=?base64?SGVsbG8sIOS4lueVjA==?=', 'Hello, 世界')).toBeUndefined();
    // Encoded although it need not be: still the same value.
    expect(call('=?base64?ZWNobw==?=', 'echo')).toBeUndefined();
    expect(call('=?base64?ZWNobw==?=', 'other')).toBe(-32020);
    // A name that looks encoded must come encoded.
    expect(call('=?base64?YQ==?=', '=?base64?YQ==?=')).toBe(-32020);
    expect(call('=?base64?PT9iYXNlNjQ/WVE9PT89?=', '=?base64?YQ==?=')).toBeUndefined();
    expect(call('=?base64?a*?=', 'a')).toBe(-32020);
  });
});

describe('Mcp-Param headers', () => {
  it('are picked out by their prefix; one sent twice agrees with nothing', () => {
    expect(
      toParameterHeaders({
        'mcp-param-a': '1',
        'mcp-param-b': ['1', '2'],
        'mcp-name': 'x',
        accept: undefined,
        'mcp-param-c': undefined,
      }),
    ).toEqual({ 'mcp-param-a': '1', 'mcp-param-b': '1, 2' });
  });
});
