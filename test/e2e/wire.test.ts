/** The rules of the wire, exactly: what any client, browser or balancer sees of status codes, headers and messages. */
import { request as sendRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MooringProcess, runMooring, startMooring } from './mooring-process.ts';
import { getStream, initialize, postLegacy, toHeaders, toModernRequest, type WireMessage } from './wire.ts';

const unauthenticated = 'Authentication required: provide a valid MCP API key or access token';
const unknownKey = `mooring_mcp_${'0'.repeat(64)}`;
const ping = { id: 1, method: 'ping' } as const;

let notes: MooringProcess;
let metadataUrl = '';

beforeAll(async () => {
  notes = await startMooring();
  metadataUrl = `${notes.origin}/.well-known/oauth-protected-resource/mcp`;
});
afterAll(async () => {
  await notes.dispose();
});

async function expectError(reply: Response, status: number, message: string): Promise<void> {
  expect(reply.status).toBe(status);
  expect(reply.headers.get('content-type')).toBe('application/json');
  const body = (await reply.json()) as WireMessage;
  expect(body.error?.message).toBe(message);
  expect(JSON.stringify(body)).not.toMatch(/at \S+:\d+:\d+|node:|src\//);
}

describe('a request to the MCP endpoint', () => {
  const methods = ['POST', 'GET', 'DELETE'];
  const bodyOf = (method: string): { body?: string } =>
    method === 'POST' ? { body: JSON.stringify({ jsonrpc: '2.0', ...ping }) } : {};

  test.each(methods)(
    '%s without credentials is told where to learn of them, and no error code',
    async (method) => {
      const { Authorization: _, ...headers } = toHeaders('');
      const reply = await fetch(notes.url, { method, headers, ...bodyOf(method) });
      // What to ask for is what the notes server needs at least.
      expect(reply.headers.get('www-authenticate')).toBe(
        `Bearer scope="notes:read", resource_metadata="${metadataUrl}"`,
      );
      await expectError(reply, 401, unauthenticated);
    },
  );

  test.each(methods)('%s with a rejected token is told that it is invalid', async (method) => {
    const reply = await fetch(notes.url, { method, headers: toHeaders(unknownKey), ...bodyOf(method) });
    const challenge = reply.headers.get('www-authenticate') ?? '';
    expect(challenge).toMatch(/^Bearer /);
    expect(challenge).toContain('error="invalid_token"');
    expect(challenge).toContain(`resource_metadata="${metadataUrl}"`);
    await expectError(reply, 401, unauthenticated);
  });

  test.each(['Basic dXNlcjpwYXNz', 'Bearer', 'Bearer  ', 'Token abc'])(
    'with `Authorization: %s` counts as one without credentials',
    async (authorization) => {
      const headers = { ...toHeaders(''), Authorization: authorization };
      const reply = await fetch(notes.url, { method: 'POST', headers, ...bodyOf('POST') });
      expect(reply.headers.get('www-authenticate')).not.toContain('error=');
      await expectError(reply, 401, unauthenticated);
    },
  );

  test.each(['access_token', 'token', 'api_key', 'ACCESS_TOKEN'])(
    'with a valid key in the query as `%s` is refused, with or without the header',
    async (name) => {
      for (const headers of [toHeaders(notes.key), { ...toHeaders(''), Authorization: '' }]) {
        const request = { method: 'POST', headers, ...bodyOf('POST') };
        const reply = await fetch(`${notes.url}?${name}=${notes.key}`, request);
        expect(reply.status).toBe(400);
        expect(await reply.text()).not.toContain(notes.key);
      }
    },
  );

  test('with a method that there is none of is told which there are', async () => {
    const reply = await fetch(notes.url, { method: 'PUT', headers: toHeaders(notes.key), body: '{}' });
    expect(reply.status).toBe(405);
    expect(reply.headers.get('allow')).toMatch(/POST.*GET.*DELETE/);
  });

  test('keeps keys out of the log, right ones and wrong ones', async () => {
    await fetch(notes.url, { method: 'POST', headers: toHeaders(unknownKey), body: '{}' });
    await fetch(notes.url, toModernRequest(notes.key, 'tools/list'));
    const { error } = notes.read();
    expect(error).not.toContain(notes.key);
    expect(error).not.toContain(unknownKey);
  });
});

describe('a legacy session', () => {
  test.each(['POST', 'GET', 'DELETE'])('%s without the session header is 400', async (method) => {
    const body = method === 'POST' ? { body: JSON.stringify({ jsonrpc: '2.0', ...ping }) } : {};
    const reply = await fetch(notes.url, { method, headers: toHeaders(notes.key), ...body });
    await expectError(reply, 400, 'mcp-session-id header required');
  });

  test.each([
    ['never was', 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
    ['cannot be one', 'x'.repeat(300)],
  ])('that %s is 404 for every method', async (_what, session) => {
    await expectUnknown(notes.key, session);
  });

  test('that was ended is 404 for every method', async () => {
    const session = await initialize(notes);
    expect((await postLegacy(notes, session, ping)).status).toBe(200);
    const ended = await fetch(notes.url, { method: 'DELETE', headers: toSessionHeaders(notes.key, session) });
    expect(ended.status).toBe(204);
    await expectUnknown(notes.key, session);
  });

  test('of another principal is answered as if it did not exist, and is not ended by it', async () => {
    const session = await initialize(notes);
    const other = await createKey();
    await expectUnknown(other, session);
    expect((await postLegacy(notes, session, ping)).status).toBe(200);
  });

  test('does not accept a revision that is not served', async () => {
    const session = await initialize(notes);
    const headers = { ...toSessionHeaders(notes.key, session), 'MCP-Protocol-Version': '1999-01-01' };
    const body = JSON.stringify({ jsonrpc: '2.0', ...ping });
    expect((await fetch(notes.url, { method: 'POST', headers, body })).status).toBe(400);
  });

  const toSessionHeaders = (key: string, session: string): Record<string, string> =>
    toHeaders(key, { 'Mcp-Session-Id': session });

  const expectUnknown = async (key: string, session: string): Promise<void> => {
    const target = { url: notes.url, key };
    await expectError(await postLegacy(target, session, ping), 404, 'Unknown session ID');
    await expectError(await getStream(target, session), 404, 'Unknown session ID');
    const headers = toSessionHeaders(key, session);
    await expectError(await fetch(notes.url, { method: 'DELETE', headers }), 404, 'Unknown session ID');
  };

  /** A second key of the same tenant, which is another principal. */
  const createKey = async (): Promise<string> => {
    const reply = await fetch(`${notes.url}/keys`, {
      method: 'POST',
      headers: toHeaders(notes.key),
      body: JSON.stringify({ name: 'other', scopes: ['*'] }),
    });
    expect(reply.status).toBe(201);
    return ((await reply.json()) as { key: string }).key;
  };
});

describe('protected resource metadata', () => {
  test.each(['/.well-known/oauth-protected-resource', '/.well-known/oauth-protected-resource/mcp'])(
    'is at %s, for everyone and for pages too',
    async (path) => {
      const reply = await fetch(notes.origin + path, { headers: { Origin: 'http://localhost:6274' } });
      expect(reply.status).toBe(200);
      expect(reply.headers.get('access-control-allow-origin')).toBe('http://localhost:6274');
      expect(await reply.json()).toMatchObject({ resource: notes.url, bearer_methods_supported: ['header'] });
    },
  );

  test('is where the challenge says', async () => {
    const { headers } = await fetch(notes.url, { method: 'POST', body: '{}' });
    const named = /resource_metadata="([^"]+)"/.exec(headers.get('www-authenticate') ?? '')?.[1] ?? '';
    expect((await fetch(named)).status).toBe(200);
  });
});

describe('a browser', () => {
  const origin = 'http://localhost:6274';

  test('gets its preflight answered before it has any credentials', async () => {
    const reply = await fetch(notes.url, {
      method: 'OPTIONS',
      headers: {
        Origin: origin,
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'authorization,content-type,mcp-method,mcp-name,mcp-param-region',
      },
    });
    expect(reply.status).toBe(204);
    expect(reply.headers.get('access-control-allow-origin')).toBe(origin);
    expect(reply.headers.get('access-control-allow-methods')).toMatch(/POST.*GET.*DELETE/);
    const allowed = (reply.headers.get('access-control-allow-headers') ?? '').toLowerCase();
    for (const name of [
      'authorization',
      'content-type',
      'accept',
      'mcp-protocol-version',
      'mcp-session-id',
      'mcp-method',
      'mcp-name',
      'last-event-id',
      'mcp-param-region',
    ]) {
      expect(allowed.split(', ')).toContain(name);
    }
  });

  test.each([
    ['a refusal', ''],
    ['an answer', 'key'],
  ])('may read %s and the headers that matter', async (_what, credential) => {
    const request = toModernRequest(credential === '' ? '' : notes.key, 'tools/list');
    const headers = { ...(request.headers as Record<string, string>), Origin: origin };
    const reply = await fetch(notes.url, { ...request, headers });
    expect(reply.status).toBe(credential === '' ? 401 : 200);
    expect(reply.headers.get('access-control-allow-origin')).toBe(origin);
    const exposed = (reply.headers.get('access-control-expose-headers') ?? '').split(', ');
    expect(exposed).toEqual(expect.arrayContaining(['WWW-Authenticate', 'Mcp-Session-Id', 'Retry-After']));
  });

  test('of another origin is refused, with a valid key and in its preflight', async () => {
    const foreign = { Origin: 'https://evil.example' };
    const request = toModernRequest(notes.key, 'tools/list');
    const headers = { ...(request.headers as Record<string, string>), ...foreign };
    const reply = await fetch(notes.url, { ...request, headers });
    expect(reply.status).toBe(403);
    expect(reply.headers.get('access-control-allow-origin')).toBeNull();
    const preflight = { method: 'OPTIONS', headers: { ...foreign, 'Access-Control-Request-Method': 'POST' } };
    expect((await fetch(notes.url, preflight)).status).toBe(403);
  });
});

describe('the Host header', () => {
  test.each(['evil.example', 'evil.example:80', '127.0.0.1.evil.example', 'localhost.evil.example'])(
    '%s is refused: a page whose name was rebound to this machine sends it',
    async (host) => {
      expect(await statusFor('/mcp', host)).toBe(403);
    },
  );

  test('may be a loopback name or address, with the port', async () => {
    const { port } = new URL(notes.url);
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`]) {
      expect(await statusFor('/mcp', host)).toBe(401);
    }
  });

  test('does not matter to the probes, which balancers send by address', async () => {
    expect(await statusFor('/health', '10.0.0.7')).toBe(200);
    expect(await statusFor('/ready', '10.0.0.7')).toBe(200);
  });

  /** `fetch` does not let its caller choose the host. */
  const statusFor = (path: string, host: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const request = sendRequest(notes.origin + path, { headers: { host } }, (reply) => {
        reply.resume();
        resolve(reply.statusCode);
      });
      request.on('error', reject);
      request.end();
    });
});

describe('the probes', () => {
  test('/health says that the process answers', async () => {
    const reply = await fetch(`${notes.origin}/health`);
    expect(reply.status).toBe(200);
    expect(await reply.json()).toEqual({ status: 'ok' });
  });

  test('/ready names each dependency', async () => {
    const reply = await fetch(`${notes.origin}/ready`);
    expect(reply.status).toBe(200);
    expect(await reply.json()).toEqual({
      status: 'ready',
      checks: { database: 'ok', sessions: 'ok', bus: 'ok' },
    });
  });

  test('anything else is 404, and says nothing of what is there', async () => {
    expect((await fetch(`${notes.origin}/`)).status).toBe(404);
    expect((await fetch(`${notes.origin}/mcp/nothing`)).status).toBe(404);
  });
});

test('`mooring --help` and `mooring start --help` explain themselves, and a wrong command says so', async () => {
  expect(await runMooring(['--help'])).toMatchObject({ code: 0, error: '' });
  const help = await runMooring(['start', '--help']);
  expect(help.code).toBe(0);
  for (const variable of ['PORT', 'DATA_DIR', 'DATABASE_URL', 'ENCRYPTION_KEY', 'LOG_LEVEL', 'PUBLIC_URL']) {
    expect(help.out).toContain(variable);
  }
  expect(await runMooring(['sink'])).toMatchObject({ code: 2, out: '' });
});
