import { describe, expect, it } from 'vitest';
import { classify } from './json-rpc.ts';

describe('classify', () => {
  it.each([
    ['a result beside an error', { result: {}, error: { code: 1, message: 'm' } }],
    ['a result beside an error that is null', { result: {}, error: null }],
    ['a result beside an error that is a text', { result: {}, error: 'no' }],
    ['an error without a message', { error: { code: 1 } }],
    ['an error whose message is no text', { error: { code: 1, message: { toString: 1 } } }],
    ['a result that is null', { result: null }],
  ])('takes %s for no response', (_name, parts) => {
    expect(classify({ jsonrpc: '2.0', id: 1, ...parts })).toMatchObject({ kind: 'invalid', id: 1 });
  });
});
