import { describe, expect, it } from 'vitest';
import { RequestError } from '../errors.ts';
import { createListLogger } from '../mcp/test-engine.contract.ts';
import { createErrorRenderer } from './render-error.ts';

const render = createErrorRenderer({
  logger: createListLogger([]),
  resourceMetadataUrl: 'https://a.example/.well-known/oauth-protected-resource/mcp',
});

describe('a request without a scope that it needs', () => {
  it('is told all of them in a challenge that says where to get a token', () => {
    const error = new RequestError('insufficient_scope', 'This needs more', {
      scopes: ['notes:read', 'audit'],
    });
    const reply = render(error, 'r1');
    expect(reply.status).toBe(403);
    expect(reply.headers['WWW-Authenticate']).toBe(
      'Bearer error="insufficient_scope", scope="notes:read audit", ' +
        'resource_metadata="https://a.example/.well-known/oauth-protected-resource/mcp"',
    );
    expect(reply.log).toMatchObject({ error: 'insufficient_scope' });
  });
});

describe('a request that may not be made', () => {
  it('is not challenged: no other token would help', () => {
    expect(render(new RequestError('forbidden', 'Not yours'), 'r1').headers).not.toHaveProperty(
      'WWW-Authenticate',
    );
  });
});
