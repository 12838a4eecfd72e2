import { describe, expect, it } from 'vitest';
import { renderFirstRun, renderLaterRun } from './first-run-text.ts';

const server = { name: 'Notes & more', url: 'http://127.0.0.1:8080/mcp', dataDir: '.mooring' };
const key = { tenantName: 'default', secret: `mooring_mcp_${'0123456789abcdef'.repeat(4)}` };

function sectionOf(text: string, heading: string): string {
  const start = text.indexOf(`\n${heading}`);
  const body = text.slice(text.indexOf('\n\n', start) + 2);
  return body.slice(0, body.search(/\n\n\S/));
}

describe('where people sign in at another provider', () => {
  const elsewhere = { ...server, providerName: 'Harbour ID' };

  it('clients are connected without the key, and it is told how people get in', () => {
    const text = renderFirstRun(elsewhere, key);
    expect(sectionOf(text, 'Cursor')).not.toContain(key.secret);
    expect(text).toContain('people sign in at Harbour ID');
    expect(text).toContain('npx mooring users join');
    expect(renderLaterRun(elsewhere)).toContain('people sign in at Harbour ID');
  });

  it('nobody is told to let people in who join a tenant by themselves', () => {
    const text = renderLaterRun({ ...elsewhere, joinedTenant: 'cafe' });
    expect(text).toContain('joins the tenant cafe');
    expect(text).not.toContain('users join');
  });
});

describe('the first run', () => {
  const text = renderFirstRun(server, key);

  it('shows the address and the key', () => {
    expect(text).toContain(`running at ${server.url}`);
    expect(text).toContain(`    ${key.secret}\n`);
  });

  it('fits a terminal of 100 columns, but for the lines that hold the key', () => {
    for (const line of text.replaceAll(key.secret, '').split('\n'))
      expect(line.length).toBeLessThanOrEqual(100);
  });

  it.each([
    ['Cursor', 'mcpServers', {}],
    ['VS Code', 'servers', { type: 'http' }],
  ])('has a configuration for %s that parses', (client, listName, extra) => {
    expect(JSON.parse(sectionOf(text, client))).toEqual({
      [listName]: {
        'Notes-more': { ...extra, url: server.url, headers: { Authorization: `Bearer ${key.secret}` } },
      },
    });
  });

  it('has a curl line whose headers and body agree', () => {
    const curl = sectionOf(text, 'curl');
    const body = JSON.parse(/-d '([^']*)'/.exec(curl)?.[1] ?? '') as {
      method: string;
      params: { _meta: Record<string, unknown> };
    };
    expect(curl).toContain(`Mcp-Method: ${body.method}'`);
    expect(curl).toContain(
      `MCP-Protocol-Version: ${String(body.params._meta['io.modelcontextprotocol/protocolVersion'])}'`,
    );
    expect(curl).toContain("'Accept: application/json, text/event-stream'");
    expect(curl).toContain(`'Authorization: Bearer ${key.secret}'`);
  });

  it('gives Claude Code its flags in the order it reads them', () => {
    expect(text).toContain(`claude mcp add --transport http Notes-more ${server.url} \\\n`);
  });
});

it('a later run shows the address and how to make another key', () => {
  const text = renderLaterRun(server);
  expect(text).toContain(server.url);
  expect(text).toContain('mooring keys create');
  expect(text).not.toContain('_mcp_');
});
