import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError, RequestError, UpstreamError } from '../errors.ts';
import { createTestEdge, type TestEdge, toText } from './edge-adapter.contract.ts';
import type { FullReply, HttpReply } from './messages.ts';
import type { EdgeOptions } from './pipeline.ts';

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly query?: string;
  readonly host?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Answered {
  readonly reply: HttpReply;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** `data.code` of an error reply. */
  readonly code: string | undefined;
}

const good = { authorization: 'Bearer good' };

async function ask(test: TestEdge, asked: Asked): Promise<Answered> {
  const { method = 'POST', path = '/mcp', query = '', headers = {} } = asked;
  const host = 'host' in asked ? asked.host : 'localhost:8080';
  const exchange = test.edge.open({
    method,
    path,
    query,
    headers,
    host,
    peerAddress: undefined,
    onClose: () => {},
  });
  const reply = (await test.edge.begin(exchange)) ?? (await test.edge.finish(exchange));
  const wire = test.edge.toWireHeaders(exchange, reply);
  const sent: Record<string, string> = Object.create(null);
  for (let index = 0; index < wire.length; index += 2) {
    const name = (wire[index] ?? '').toLowerCase();
    if (name in sent) throw new Error(`${name} is sent twice`);
    sent[name] = wire[index + 1] ?? '';
  }
  const code = reply.kind === 'full' && reply.status >= 400 ? toBody(reply).error.data?.code : undefined;
  return { reply, headers: sent, code };
}

function toBody(reply: FullReply): {
  error: { code: number; message: string; data?: { code: string; requestId: string } };
} {
  return JSON.parse(reply.body);
}

describe('request id', () => {
  it('keeps a safe one and replaces any other', async () => {
    const test = createTestEdge();
    const kept = await ask(test, { headers: { ...good, 'x-request-id': 'abc.DEF_1-2' } });
    expect(kept.headers['x-request-id']).toBe('abc.DEF_1-2');
    for (const bad of ['', 'a'.repeat(65), 'a b', 'ü', '<x>']) {
      const made = await ask(test, { headers: { ...good, 'x-request-id': bad } });
      expect(made.headers['x-request-id']).toMatch(/^[0-9a-f]{8}-[0-9a-z]+$/);
    }
  });

  it('differs between requests', async () => {
    const test = createTestEdge();
    const [first, second] = [await ask(test, {}), await ask(test, {})];
    expect(first.headers['x-request-id']).not.toBe(second.headers['x-request-id']);
  });
});

describe('host', () => {
  it.each(['localhost', 'LOCALHOST:1', '127.0.0.1:65535', '[::1]', '[::1]:8080', 'mcp.example.com:8443'])(
    'answers for %s',
    async (host) => {
      expect((await ask(createTestEdge(), { host, headers: good })).reply.status).toBe(200);
    },
  );

  it.each([
    undefined,
    '',
    'evil.example',
    'localhost.evil.example',
    'evil.example:8080',
    'localhost:80:80',
    'localhost:',
    'localhost:x',
    'user@localhost',
    'mcp.example.com',
    'mcp.example.com:8444',
    '[::1',
    '::1',
  ])('refuses %s before it looks at credentials', async (host) => {
    const { reply, code } = await ask(createTestEdge(), { host });
    expect([reply.status, code]).toEqual([403, 'host_not_allowed']);
  });

  it('lets a balancer probe by address what tells nothing', async () => {
    expect(
      (await ask(createTestEdge(), { method: 'GET', path: '/open', host: '10.0.0.7:8080' })).reply.status,
    ).toBe(200);
  });

  it('refuses a foreign host for a path that does not exist', async () => {
    expect((await ask(createTestEdge(), { path: '/nothing', host: 'evil.example' })).code).toBe(
      'host_not_allowed',
    );
  });

  it('never accepts a name that only contains an allowed one', async () => {
    const test = createTestEdge();
    await fc.assert(
      fc.asyncProperty(fc.string({ minLength: 1, maxLength: 8 }), async (extra) => {
        fc.pre(!/^:\d{1,5}$/.test(extra));
        expect((await ask(test, { host: `localhost${extra}` })).code).toBe('host_not_allowed');
      }),
    );
  });
});

describe('origin', () => {
  it.each(['https://app.example.com', 'http://localhost', 'http://localhost:6274'])(
    'lets %s read the reply',
    async (origin) => {
      const { reply, headers } = await ask(createTestEdge(), { headers: { ...good, origin } });
      expect(reply.status).toBe(200);
      expect(headers['access-control-allow-origin']).toBe(origin);
      expect(headers['vary']).toBe('Origin');
      for (const name of [
        'WWW-Authenticate',
        'Mcp-Session-Id',
        'MCP-Protocol-Version',
        'Retry-After',
        'X-Request-Id',
      ]) {
        expect(headers['access-control-expose-headers']).toContain(name);
      }
    },
  );

  it.each([
    'https://evil.example',
    'http://app.example.com',
    'https://app.example.com:444',
    'https://app.example.com.evil.example',
    'http://localhost.evil.example:80',
    'http://localhost:80@evil.example',
    'null',
    '',
  ])('refuses %s, with nothing that would let it read why', async (origin) => {
    const { code, headers } = await ask(createTestEdge(), { headers: { ...good, origin } });
    expect(code).toBe('origin_not_allowed');
    expect(headers).not.toHaveProperty('access-control-allow-origin');
  });

  it('lets a page read why it was refused for another reason', async () => {
    const origin = 'https://app.example.com';
    for (const asked of [{ headers: { origin } }, { method: 'PUT', headers: { origin } }]) {
      expect((await ask(createTestEdge(), asked)).headers['access-control-allow-origin']).toBe(origin);
    }
  });

  it('gives no CORS headers on a route without CORS', async () => {
    const headers = { origin: 'https://app.example.com' };
    const answered = await ask(createTestEdge(), { method: 'GET', path: '/open', headers });
    expect(answered.reply.status).toBe(200);
    expect(answered.headers).not.toHaveProperty('access-control-allow-origin');
  });

  it('reflects only what is an origin when any is allowed', async () => {
    const test = createTestEdge({ allowedOrigins: 'any' });
    expect((await ask(test, { headers: { ...good, origin: 'https://a.example' } })).reply.status).toBe(200);
    expect((await ask(test, { headers: { ...good, origin: 'https://a.example, b' } })).code).toBe(
      'origin_not_allowed',
    );
  });
});

describe('preflight', () => {
  const preflight = { origin: 'https://app.example.com', 'access-control-request-method': 'POST' };

  it('needs no credentials and names the methods of the path', async () => {
    const { reply, headers } = await ask(createTestEdge(), { method: 'OPTIONS', headers: preflight });
    expect(reply.status).toBe(204);
    expect(headers['access-control-allow-methods']).toBe('POST, GET, DELETE, OPTIONS');
    expect(headers['access-control-max-age']).toBe('7200');
    expect(headers['vary']).toContain('Access-Control-Request-Headers');
    for (const name of [
      'Authorization',
      'Content-Type',
      'Mcp-Session-Id',
      'Mcp-Method',
      'Mcp-Name',
      'Last-Event-ID',
    ]) {
      expect(headers['access-control-allow-headers']?.split(', ')).toContain(name);
    }
  });

  it('allows parameter headers, whose names it cannot know, and no other', async () => {
    const requested = 'authorization,mcp-param-region, Mcp-Param-Tenant_Id,x-evil,mcp-param-,mcp-param-a b';
    const headers = { ...preflight, 'access-control-request-headers': requested };
    const allowed = (await ask(createTestEdge(), { method: 'OPTIONS', headers })).headers[
      'access-control-allow-headers'
    ];
    expect(allowed?.split(', ').slice(-2)).toEqual(['mcp-param-region', 'Mcp-Param-Tenant_Id']);
  });

  it('never reflects anything but header names', async () => {
    const test = createTestEdge();
    await fc.assert(
      fc.asyncProperty(fc.string(), async (requested) => {
        const headers = { ...preflight, 'access-control-request-headers': `mcp-param-${requested}` };
        const { headers: sent } = await ask(test, { method: 'OPTIONS', headers });
        expect(sent['access-control-allow-headers']).toMatch(
          /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(, [!#$%&'*+.^_`|~0-9A-Za-z-]+)*$/,
        );
      }),
    );
  });

  it('is refused for an origin that is not allowed', async () => {
    const headers = { ...preflight, origin: 'https://evil.example' };
    expect((await ask(createTestEdge(), { method: 'OPTIONS', headers })).code).toBe('origin_not_allowed');
  });

  it('tells the methods when OPTIONS is not a preflight', async () => {
    const { reply, headers } = await ask(createTestEdge(), { method: 'OPTIONS' });
    expect([reply.status, headers['allow']]).toEqual([204, 'POST, GET, DELETE, OPTIONS']);
  });
});

describe('route', () => {
  it('answers 404 as JSON for an unknown path', async () => {
    for (const path of [
      '/',
      '/mcp/',
      '/MCP',
      '//mcp',
      '/mcp/../mcp',
      '*',
      '',
      '/.well-known/other',
      '/mcp/keys/',
      '/mcp/keys/%ff',
    ]) {
      const { reply, code, headers } = await ask(createTestEdge(), { path, method: 'DELETE' });
      expect([path, reply.status, code, headers['content-type']]).toEqual([
        path,
        404,
        'not_found',
        'application/json',
      ]);
    }
  });

  it('answers 405 with the methods that there are, before authentication', async () => {
    const { reply, headers } = await ask(createTestEdge(), { method: 'PUT' });
    expect([reply.status, headers['allow']]).toEqual([405, 'POST, GET, DELETE, OPTIONS']);
  });

  it('decodes the segment of a pattern', async () => {
    const { reply } = await ask(createTestEdge(), {
      method: 'DELETE',
      path: '/mcp/keys/a%2Fb',
      headers: good,
    });
    expect(reply).toMatchObject({ status: 200, body: 'a/b' });
  });
});

describe('token in the query', () => {
  it.each(['access_token=x', 'a=b&token=good', 'API_KEY=x', 'apikey', 'key=', 'access%5Ftoken=x'])(
    'refuses ?%s',
    async (query) => {
      const { reply, code } = await ask(createTestEdge(), { query, headers: good });
      expect([reply.status, code]).toEqual([400, 'token_in_query']);
      expect(JSON.stringify(reply)).not.toContain('good');
    },
  );

  it.each(['businessId=t1', 'cursor=token', 'tokens=1', '%zz=1', ''])('accepts ?%s', async (query) => {
    expect((await ask(createTestEdge(), { query, headers: good })).reply.status).toBe(200);
  });
});

describe('authenticate', () => {
  const metadata = 'resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"';
  const message = 'Authentication required: provide a valid MCP API key or access token';

  it.each([
    {},
    { authorization: '' },
    { authorization: 'Basic Z29vZA==' },
    { authorization: 'Bearer' },
    { authorization: 'Bearer  ' },
    { authorization: 'good' },
  ])('asks for credentials, without an error code, given %j', async (headers) => {
    for (const method of ['POST', 'GET', 'DELETE']) {
      const answered = await ask(createTestEdge(), { method, headers });
      expect(answered.reply.status).toBe(401);
      expect(answered.code).toBe('authentication_required');
      expect(answered.headers['www-authenticate']).toBe(`Bearer ${metadata}`);
      expect(toBody(answered.reply as FullReply).error.message).toBe(message);
    }
  });

  it.each(['Bearer bad', 'Bearer slow-bad', 'Bearer good good', 'bearer bad'])(
    'rejects %s, and says so',
    async (authorization) => {
      const test = createTestEdge();
      const { reply, headers } = await ask(test, { headers: { authorization } });
      expect(reply.status).toBe(401);
      expect(headers['www-authenticate']).toBe(`Bearer error="invalid_token", ${metadata}`);
      expect(toBody(reply as FullReply).error.message).toBe(message);
      expect(JSON.stringify(reply.headers) + (reply as FullReply).body).not.toContain('revoked');
      expect(reply.log).toMatchObject({ error: 'invalid_token', detail: 'The key was revoked.' });
    },
  );

  it.each(['Bearer good', 'bearer good', 'BEARER   good', 'Bearer slow'])(
    'accepts %s',
    async (authorization) => {
      expect((await ask(createTestEdge(), { headers: { authorization } })).reply.status).toBe(200);
    },
  );

  it('does not report a store that is down as the caller being refused', async () => {
    const down = new UpstreamError('database', 'connect ECONNREFUSED 10.0.0.3', { retryAfterSeconds: 7 });
    for (const authenticate of [
      () => Promise.reject(down),
      () => {
        throw down;
      },
    ]) {
      const test = createTestEdge({ authenticator: { authenticate } });
      const { reply, headers, code } = await ask(test, { headers: good });
      expect([reply.status, code, headers['retry-after']]).toEqual([503, 'unavailable', '7']);
      expect((reply as FullReply).body).not.toContain('10.0.0.3');
      expect(test.lines[0]).toMatchObject({ event: 'upstream.failed', error: down });
    }
  });
});

describe('body, before it is read', () => {
  it('refuses a declared length over the limit', async () => {
    const { code } = await ask(createTestEdge(), { headers: { ...good, 'content-length': '1001' } });
    expect(code).toBe('body_too_large');
  });

  it('refuses any body where none is taken', async () => {
    expect(
      (await ask(createTestEdge(), { method: 'DELETE', headers: { ...good, 'content-length': '1' } })).code,
    ).toBe('body_too_large');
    expect(
      (await ask(createTestEdge(), { method: 'DELETE', headers: { ...good, 'content-length': '0' } })).reply
        .status,
    ).toBe(200);
  });

  it('refuses a coded body, and says what it would read', async () => {
    const { reply, headers } = await ask(createTestEdge(), {
      headers: { ...good, 'content-encoding': 'gzip' },
    });
    expect([reply.status, headers['accept-encoding']]).toEqual([415, 'identity']);
    expect(
      (await ask(createTestEdge(), { headers: { ...good, 'content-encoding': 'Identity' } })).reply.status,
    ).toBe(200);
  });
});

describe('errors as replies', () => {
  const answerWith = (error: unknown, options: Partial<EdgeOptions> = {}): Promise<Answered> =>
    ask(
      createTestEdge({
        answer: () => {
          throw error;
        },
        ...options,
      }),
      { headers: good },
    );

  it('tells a request error with its status as the JSON-RPC code, its headers, and without an id', async () => {
    const { reply, headers } = await answerWith(
      new RequestError('session_unknown', 'Unknown session ID', {
        headers: { 'X-A': 'b' },
        detail: 'hidden',
      }),
    );
    expect(reply.status).toBe(404);
    expect(headers['x-a']).toBe('b');
    expect(JSON.parse((reply as FullReply).body)).toEqual({
      jsonrpc: '2.0',
      error: {
        code: 404,
        message: 'Unknown session ID',
        data: { code: 'session_unknown', requestId: headers['x-request-id'] },
      },
    });
  });

  it("puts a challenge on every 401, a handler's included", async () => {
    expect((await answerWith(new RequestError('invalid_token', 'x'))).headers['www-authenticate']).toContain(
      'error="invalid_token"',
    );
  });

  it("tells a protocol error as the caller's", async () => {
    const { reply } = await answerWith(new ProtocolError(-32600, 'Invalid request'));
    expect(reply).toMatchObject({
      status: 400,
      body: '{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid request"}}',
    });
  });

  it.each([new Error('secret'), 'secret', undefined, null, new TypeError('secret')])(
    'tells nothing of %s',
    async (thrown) => {
      const { reply } = await answerWith(thrown);
      expect(reply.status).toBe(500);
      expect((reply as FullReply).body).not.toContain('secret');
    },
  );
});

describe('the pipeline', () => {
  it('answers without a promise when nothing has to be waited for', () => {
    const { edge } = createTestEdge({ answer: () => toText('now') });
    const exchange = edge.open({
      method: 'POST',
      path: '/mcp',
      query: '',
      headers: good,
      host: 'localhost',
      peerAddress: undefined,
      onClose: () => {},
    });
    expect(edge.begin(exchange)).toBeUndefined();
    expect(edge.finish(exchange)).toMatchObject({ status: 200, body: 'now' });
  });

  it('adds what the handler says to the line of the request', async () => {
    const test = createTestEdge({ answer: () => ({ ...toText(''), log: { mcpMethod: 'tools/call' } }) });
    const exchange = test.edge.open({
      method: 'POST',
      path: '/mcp',
      query: '',
      headers: good,
      host: 'localhost',
      peerAddress: undefined,
      onClose: () => {},
    });
    await test.edge.begin(exchange);
    test.edge.record(exchange, await test.edge.finish(exchange));
    expect(test.lines).toEqual([
      {
        event: 'request',
        fields: {
          method: 'POST',
          route: '/mcp',
          status: 200,
          durationMs: expect.any(Number),
          requestId: exchange.requestId,
          mcpMethod: 'tools/call',
        },
      },
    ]);
  });

  it('survives any method, path, query and headers', async () => {
    const test = createTestEdge();
    const headers = fc.dictionary(
      fc.constantFrom(
        'authorization',
        'origin',
        'x-request-id',
        'content-length',
        'content-encoding',
        '__proto__',
      ),
      fc.string(),
    );
    await fc.assert(
      fc.asyncProperty(fc.string(), fc.string(), fc.string(), headers, async (method, path, query, given) => {
        const { reply } = await ask(test, { method, path, query, headers: given });
        expect(reply.status).toBeLessThan(500);
      }),
    );
  });
});
