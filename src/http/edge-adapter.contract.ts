/** What every adapter of the pipeline must do alike, and the edge that its own tests use too. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Principal } from '../auth/principal.ts';
import { RequestError } from '../errors.ts';
import type { FullReply, HttpReply, HttpRequest, StreamSink } from './messages.ts';
import { createEdge, type EdgeOptions, type HttpEdge } from './pipeline.ts';
import { type Route, type RouteHandler, toRouteTable } from './routes.ts';

export const maxBodyBytes = 1000;
export const principal: Principal = Object.freeze({
  kind: 'key',
  subject: 'k1',
  credentialId: 'k1',
  tenantIds: ['t1'],
  activeTenantId: 't1',
  role: 'merchant',
  scopes: [],
});

/** One line that the edge logged. */
export interface LoggedLine {
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly error?: unknown;
}

/** An edge with a route for each thing worth testing, and what it did. */
export interface TestEdge {
  readonly edge: HttpEdge;
  readonly lines: LoggedLine[];
  /** Requests that reached the handler of `/mcp`. */
  readonly handled: HttpRequest[];
  readonly sinks: StreamSink[];
}

/** @param options.answer the handler of `POST /mcp`; default: says the body back */
export function createTestEdge(
  options: { readonly answer?: RouteHandler } & Partial<EdgeOptions> = {},
): TestEdge {
  const lines: LoggedLine[] = [];
  const handled: HttpRequest[] = [];
  const sinks: StreamSink[] = [];
  const { answer = toEcho, ...rest } = options;
  const guarded = { auth: 'principal', cors: true, host: 'allowed' } as const;
  const routes: Route[] = [
    {
      method: 'POST',
      path: '/mcp',
      ...guarded,
      maxBodyBytes,
      handler(request) {
        handled.push(request);
        return answer(request);
      },
    },
    { method: 'GET', path: '/mcp', ...guarded, maxBodyBytes: 0, handler: () => toStream(sinks) },
    { method: 'DELETE', path: '/mcp', ...guarded, maxBodyBytes: 0, handler: () => toText('') },
    {
      method: 'DELETE',
      path: '/mcp/keys/{id}',
      ...guarded,
      maxBodyBytes: 0,
      handler: ({ parameters }) => toText(parameters['id'] ?? ''),
    },
    {
      method: 'GET',
      path: '/open',
      auth: 'none',
      cors: false,
      host: 'any',
      maxBodyBytes: 0,
      handler: () => toText('open'),
    },
    {
      method: 'HEAD',
      path: '/open',
      auth: 'none',
      cors: false,
      host: 'any',
      maxBodyBytes: 0,
      handler: () => toText('open'),
    },
  ];
  const edge = createEdge({
    routes: toRouteTable(routes),
    authenticator: { authenticate },
    allowedHosts: ['localhost', '127.0.0.1', '[::1]', 'mcp.example.com:8443'],
    allowedOrigins: ['https://app.example.com', 'http://localhost:*'],
    publicUrl: 'https://mcp.example.com',
    resourceMetadataUrl: 'https://mcp.example.com/.well-known/oauth-protected-resource/mcp',
    logger: {
      isEnabled: () => true,
      info: (event, fields) => lines.push({ event, fields }),
      warn: (event, fields) => lines.push({ event, fields }),
      error: (event, fields, error) => lines.push({ event, fields, error }),
    },
    ...rest,
  });
  return { edge, lines, handled, sinks };
}

function authenticate(token: string): Principal | Promise<Principal> {
  if (token === 'good') return principal;
  if (token === 'slow') return Promise.resolve(principal);
  const refusal = new RequestError('invalid_token', 'The key was revoked.');
  if (token === 'slow-bad') return Promise.reject(refusal);
  throw refusal;
}

function toEcho(request: HttpRequest): HttpReply {
  return toText(request.body);
}

/** A reply with plain text. */
export function toText(body: string): HttpReply {
  return { kind: 'full', status: 200, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body };
}

function toStream(sinks: StreamSink[]): HttpReply {
  return {
    kind: 'stream',
    status: 200,
    headers: { 'Content-Type': 'text/event-stream' },
    open(sink) {
      sinks.push(sink);
      sink.write(': open\n\n');
    },
  };
}

/** One request to an adapter. */
export interface SentRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent without a declared length. */
  readonly body?: Uint8Array;
}

/** What came back. */
export interface ReceivedReply {
  readonly status: number;
  readonly headers: Headers;
  /** Resolves when the reply is complete. */
  text(): Promise<string>;
}

/** An adapter that serves an edge. */
export interface RunningAdapter {
  send(request: SentRequest): Promise<ReceivedReply>;
  close(): Promise<void>;
}

const good = { authorization: 'Bearer good' };
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Runs the suite. */
export function describeEdgeAdapter(name: string, start: (edge: HttpEdge) => Promise<RunningAdapter>): void {
  describe(`${name}, as an adapter of the edge`, () => {
    let running: RunningAdapter | undefined;
    afterEach(async () => {
      await running?.close();
      running = undefined;
    });

    async function run(test: TestEdge, request: SentRequest): Promise<ReceivedReply> {
      running ??= await start(test.edge);
      return running.send(request);
    }

    it('hands a body over whole and the reply back whole, beyond ASCII too', async () => {
      const test = createTestEdge();
      const reply = await run(test, {
        method: 'POST',
        path: '/mcp',
        headers: good,
        body: encode('{"a":"日本 é"}'),
      });
      expect(reply.status).toBe(200);
      expect(await reply.text()).toBe('{"a":"日本 é"}');
      expect(test.handled[0]?.principal).toBe(principal);
      expect(reply.headers.get('x-request-id')).toBe(test.handled[0]?.requestId);
    });

    it('accepts a body at the limit and refuses one byte more, although its length was not declared', async () => {
      const test = createTestEdge();
      const atLimit = await run(test, {
        method: 'POST',
        path: '/mcp',
        headers: good,
        body: new Uint8Array(maxBodyBytes),
      });
      expect(atLimit.status).toBe(200);
      const over = await run(test, {
        method: 'POST',
        path: '/mcp',
        headers: good,
        body: new Uint8Array(maxBodyBytes + 1),
      });
      expect(over.status).toBe(413);
      expect(JSON.parse(await over.text())).toMatchObject({
        error: { code: 413, data: { code: 'body_too_large' } },
      });
      expect(test.handled).toHaveLength(1);
    });

    it('refuses a body that is not UTF-8', async () => {
      const test = createTestEdge();
      const body = new Uint8Array([0x22, 0xc3, 0x28, 0x22]);
      const reply = await run(test, { method: 'POST', path: '/mcp', headers: good, body });
      expect(reply.status).toBe(400);
      expect(test.handled).toHaveLength(0);
    });

    it('refuses without credentials before it reads the body', async () => {
      const test = createTestEdge();
      const reply = await run(test, { method: 'POST', path: '/mcp', body: encode('{}') });
      expect(reply.status).toBe(401);
      expect(reply.headers.get('www-authenticate')).toContain('resource_metadata="https://mcp.example.com/');
    });

    it('waits for an authenticator that needs to', async () => {
      const headers = { authorization: 'Bearer slow' };
      const reply = await run(createTestEdge(), {
        method: 'POST',
        path: '/mcp',
        headers,
        body: encode('later'),
      });
      expect(await reply.text()).toBe('later');
    });

    it('answers HEAD without a body', async () => {
      const reply = await run(createTestEdge(), { method: 'HEAD', path: '/open' });
      expect(reply.status).toBe(200);
      expect(await reply.text()).toBe('');
    });

    it('answers a preflight with 204 and no body', async () => {
      const headers = { origin: 'https://app.example.com', 'access-control-request-method': 'POST' };
      const reply = await run(createTestEdge(), { method: 'OPTIONS', path: '/mcp', headers });
      expect(reply.status).toBe(204);
      expect(reply.headers.get('access-control-allow-origin')).toBe('https://app.example.com');
    });

    it('sends a stream as it is written and forbids others to hold it back', async () => {
      const test = createTestEdge();
      const reply = await run(test, { method: 'GET', path: '/mcp', headers: good });
      expect(reply.headers.get('content-type')).toBe('text/event-stream');
      expect(reply.headers.get('x-accel-buffering')).toBe('no');
      expect(reply.headers.get('cache-control')).toBe('no-cache, no-transform');
      const [sink] = test.sinks;
      expect(sink?.write('data: é\n\n')).toBe(true);
      sink?.end();
      expect(await reply.text()).toBe(': open\n\ndata: é\n\n');
      expect(sink?.isOpen).toBe(false);
      expect(sink?.write('data: late\n\n')).toBe(false);
    });

    it('answers 500 without a reason when a handler fails, and logs the reason', async () => {
      const failure = new Error('secret reason');
      const test = createTestEdge({ answer: () => Promise.reject(failure) });
      const reply = await run(test, { method: 'POST', path: '/mcp', headers: good, body: encode('{}') });
      expect(reply.status).toBe(500);
      expect(await reply.text()).not.toContain('secret');
      expect(test.lines.find((line) => line.event === 'request.failed')?.error).toBe(failure);
    });

    it('answers 500 when a reply cannot be sent, and logs why', async () => {
      const broken: FullReply = { kind: 'full', status: 200, headers: { 'X-A': 'a\r\nb' }, body: '' };
      const test = createTestEdge({ answer: () => broken });
      const reply = await run(test, { method: 'POST', path: '/mcp', headers: good, body: encode('{}') });
      expect(reply.status).toBe(500);
      expect(test.lines.map(({ event }) => event)).toContain('request.failed');
    });

    it('logs each request once, by its route', async () => {
      const test = createTestEdge();
      await (await run(test, { method: 'DELETE', path: '/mcp/keys/a%20b', headers: good })).text();
      await (await run(test, { method: 'GET', path: '/nothing/hidden' })).text();
      await expect
        .poll(() => test.lines.map(({ fields }) => [fields['route'], fields['status']]))
        .toEqual([
          ['/mcp/keys/{id}', 200],
          ['none', 404],
        ]);
      expect(JSON.stringify(test.lines)).not.toContain('hidden');
    });
  });
}
