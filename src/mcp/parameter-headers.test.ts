import { describe, expect, it } from 'vitest';
import { protocolErrorCodes } from '../errors.ts';
import { checkParameterHeaders } from './parameter-headers.ts';

describe('checkParameterHeaders', () => {
  it.each([{ toString: 1, valueOf: 1 }, {}, [], 1, true])('refuses %j where a text is due', (value) => {
    expect(() => {
      checkParameterHeaders(
        [{ header: 'mcp-param-region', path: ['region'], type: 'string' }],
        { 'mcp-param-region': '1' },
        { region: value },
      );
    }).toThrow(expect.objectContaining({ code: protocolErrorCodes.headerMismatch }));
  });
});
