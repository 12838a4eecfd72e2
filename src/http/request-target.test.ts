import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toRequestTarget } from './request-target.ts';

describe('toRequestTarget', () => {
  it.each([
    ['/mcp', '/mcp', '', undefined],
    ['/mcp?a=b?c', '/mcp', 'a=b?c', undefined],
    ['/?', '/', '', undefined],
    ['*', '*', '', undefined],
    ['', '', '', undefined],
    ['http://h:1/mcp?x', '/mcp', 'x', 'h:1'],
    ['HTTPS://h', '/', '', 'h'],
    ['http://h?x', '/', 'x', 'h'],
    ['http:///mcp', '/mcp', '', ''],
    ['ftp://h/mcp', 'ftp://h/mcp', '', undefined],
    ['//evil/mcp', '//evil/mcp', '', undefined],
  ])('splits %j', (target, path, query, authority) => {
    expect(toRequestTarget(target)).toEqual({ path, query, authority });
  });

  it('takes any text, and never puts a query into the path', () => {
    fc.assert(
      fc.property(fc.string(), (target) => {
        expect(toRequestTarget(target).path).not.toContain('?');
      }),
    );
  });
});
