import { describe, expect, it } from 'vitest';
import type { FullReply, HttpRequest } from '../messages.ts';
import {
  createMetadataHandler,
  toResourceMetadataPath,
  toResourceMetadataUrl,
  toResourceUrl,
} from './metadata.ts';

describe('protected resource metadata', () => {
  it.each([
    [
      'https://mcp.example.com',
      'https://mcp.example.com/mcp',
      'https://mcp.example.com/.well-known/oauth-protected-resource/mcp',
    ],
    [
      'http://127.0.0.1:8080/',
      'http://127.0.0.1:8080/mcp',
      'http://127.0.0.1:8080/.well-known/oauth-protected-resource/mcp',
    ],
    [
      'https://a.example/base',
      'https://a.example/base/mcp',
      'https://a.example/.well-known/oauth-protected-resource/base/mcp',
    ],
  ])('puts the well-known part of %s between host and path', (publicUrl, resource, metadata) => {
    expect(toResourceUrl(publicUrl)).toBe(resource);
    expect(toResourceMetadataUrl(publicUrl)).toBe(metadata);
    expect(metadata.endsWith(toResourceMetadataPath(publicUrl))).toBe(true);
  });

  it('names the configured resource, whatever host was asked, and no authorization server', async () => {
    const handler = createMetadataHandler({ publicUrl: 'https://mcp.example.com', resourceName: 'Notes' });
    const reply = (await handler({
      headers: { host: 'evil.example' },
    } as unknown as HttpRequest)) as FullReply;
    expect(JSON.parse(reply.body)).toEqual({
      resource: 'https://mcp.example.com/mcp',
      resource_name: 'Notes',
      bearer_methods_supported: ['header'],
    });
  });
});
