import { McpServer, Server } from '@modelcontextprotocol/server';
import { describe, expect, it } from 'vitest';
import { isSdkServer } from './is-sdk-server.ts';

describe('isSdkServer', () => {
  it('recognises both kinds of server', () => {
    expect(isSdkServer(new McpServer({ name: 'high', version: '1' }))).toBe(true);
    expect(isSdkServer(new Server({ name: 'low', version: '1' }))).toBe(true);
  });

  it.each([
    undefined,
    null,
    'server',
    () => undefined,
    {},
    { connect: () => undefined, close: () => undefined },
    { server: {} },
  ])('recognises nothing in %s', (value) => {
    expect(isSdkServer(value)).toBe(false);
  });
});
