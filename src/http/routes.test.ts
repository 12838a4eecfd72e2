import { describe, expect, it } from 'vitest';
import { toText } from './edge-adapter.contract.ts';
import { createRoutes, type Route, type RouteHandler, toRouteTable } from './routes.ts';

const handler: RouteHandler = () => toText('');
const row: Route = {
  method: 'GET',
  path: '/a',
  auth: 'none',
  maxBodyBytes: 0,
  cors: false,
  host: 'allowed',
  handler,
};

describe('the table of this host', () => {
  const table = createRoutes(
    {
      mcp: { post: handler, get: handler, delete: handler },
      keys: { list: handler, create: handler, update: handler, revoke: handler, rotate: handler },
      health: handler,
      ready: handler,
      resourceMetadata: handler,
    },
    { maxMcpBodyBytes: 1000, resourceMetadataPath: '/.well-known/oauth-protected-resource/base/mcp' },
  );

  it('guards everything but probes and metadata', () => {
    const open = table.routes.filter(({ auth }) => auth === 'none').map(({ path }) => path);
    expect(new Set(open)).toEqual(
      new Set([
        '/health',
        '/ready',
        '/.well-known/oauth-protected-resource',
        '/.well-known/oauth-protected-resource/mcp',
        '/.well-known/oauth-protected-resource/base/mcp',
      ]),
    );
  });

  it('answers for any host only where a balancer probes', () => {
    const anyHost = table.routes.filter(({ host }) => host === 'any').map(({ path }) => path);
    expect(new Set(anyHost)).toEqual(new Set(['/health', '/ready']));
  });

  it('finds keys by id, and nothing deeper', () => {
    expect(table.findPattern('/mcp/keys/k1')).toMatchObject({ parameters: { id: 'k1' } });
    expect(table.findPattern('/mcp/keys/k1/rotate')?.entry.allow).toBe('POST, OPTIONS');
    expect(table.findExact('/health')?.allow).toBe('GET, HEAD');
    for (const path of [
      '/mcp/keys/',
      '/mcp/keys//rotate',
      '/mcp/keys/k1/',
      '/mcp/keys/k1/rotate/x',
      `/mcp/keys/${'k'.repeat(257)}`,
    ]) {
      expect(table.findPattern(path), path).toBeUndefined();
    }
  });
});

describe('toRouteTable', () => {
  it('refuses rows that contradict each other', () => {
    expect(() => toRouteTable([row, row])).toThrow(TypeError);
    expect(() => toRouteTable([row, { ...row, method: 'POST', cors: true }])).toThrow(TypeError);
    expect(() => toRouteTable([row, { ...row, method: 'POST', host: 'any' }])).toThrow(TypeError);
  });

  it('prefers an exact path to a pattern by finding it first', () => {
    const table = toRouteTable([row, { ...row, path: '/{name}' }]);
    expect(table.findExact('/a')?.pattern).toBe('/a');
    expect(table.findExact('/b')).toBeUndefined();
    expect(table.findPattern('/b')?.entry.pattern).toBe('/{name}');
  });
});
