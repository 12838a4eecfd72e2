import { expect, test } from 'vitest';
import { toCanonicalResource } from './resource-uris.ts';

const resource = 'https://mcp.example.com/mcp';

test.each([
  resource,
  `${resource}/`,
  'https://mcp.example.com',
  'https://mcp.example.com/',
  'HTTPS://MCP.EXAMPLE.COM:443/mcp',
])('%s is our resource', (given) => {
  expect(toCanonicalResource(given, resource)).toBe(resource);
});

test.each([
  '',
  'mcp',
  'http://mcp.example.com/mcp',
  'https://mcp.example.com:8443/mcp',
  'https://mcp.example.com.evil.example/mcp',
  'https://mcp.example.com/MCP',
  'https://mcp.example.com/mcp/more',
  'https://mcp.example.com/mcp?a=1',
  'https://mcp.example.com/mcp#a',
])('%j is none of ours, and stays as it is', (given) => {
  expect(toCanonicalResource(given, resource)).toBe(given);
});
