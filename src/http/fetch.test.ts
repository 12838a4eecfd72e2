import { describe, expect, it } from 'vitest';
import { createTestEdge, describeEdgeAdapter } from './edge-adapter.contract.ts';
import { createFetch } from './fetch.ts';

const url = 'http://localhost:8080/mcp';
const headers = { authorization: 'Bearer good' };

describeEdgeAdapter('fetch', async (edge) => {
  const serve = createFetch(edge);
  return {
    send: ({ method, path, headers: sent = {}, body }) =>
      serve(
        new Request(`http://localhost:8080${path}`, {
          method,
          headers: sent,
          ...(body && { body: Buffer.from(body) }),
        }),
      ),
    close: async () => {},
  };
});

describe('fetch', () => {
  it('checks the host of the URL when there is no Host header', async () => {
    const reply = await createFetch(createTestEdge().edge)(
      new Request('http://evil.example/mcp', { method: 'POST' }),
    );
    expect(reply.status).toBe(403);
  });

  it('knows where a request comes from as far as a trusted proxy says', async () => {
    const sent = { ...headers, 'x-forwarded-for': '192.0.2.1' };
    const [without, behind] = [createTestEdge(), createTestEdge({ isTrustedProxy: () => false })];
    for (const { edge } of [without, behind])
      await createFetch(edge)(new Request(url, { method: 'POST', headers: sent }));
    expect(without.handled[0]?.clientAddress).toBeUndefined();
    expect(behind.handled[0]?.clientAddress).toBe('192.0.2.1');
  });

  it('tells the handler of a stream that the client cancelled it', async () => {
    const test = createTestEdge();
    const reply = await createFetch(test.edge)(new Request(url, { headers }));
    let closes = 0;
    test.sinks[0]?.onClose(() => (closes += 1));
    await reply.body?.cancel();
    expect(closes).toBe(1);
    expect(test.sinks[0]?.isOpen).toBe(false);
    expect(test.lines).toHaveLength(1);
  });

  it('tells the request, too, that its client cancelled the stream', async () => {
    let closes = 0;
    const test = createTestEdge({
      answer: (request) => {
        request.onClose(() => (closes += 1));
        return { kind: 'stream', status: 200, headers: {}, open: () => {} };
      },
    });
    const reply = await createFetch(test.edge)(new Request(url, { method: 'POST', headers }));
    await reply.body?.cancel();
    expect(closes).toBe(1);
  });

  it('tells the handler that the request was aborted', async () => {
    const abort = new AbortController();
    let closes = 0;
    const test = createTestEdge({
      answer: (request) =>
        new Promise((resolve) => {
          request.onClose(() => {
            closes += 1;
            resolve({ kind: 'full', status: 200, headers: {}, body: '' });
          });
          abort.abort();
        }),
    });
    await createFetch(test.edge)(new Request(url, { method: 'POST', headers, signal: abort.signal }));
    expect(closes).toBe(1);
  });

  it('cuts a client that reads a stream too slowly, and no later than past the bound', async () => {
    const test = createTestEdge();
    const reply = await createFetch(test.edge, { streamBufferBytes: 10_000 })(new Request(url, { headers }));
    const chunk = 'x'.repeat(1000);
    let taken = 0;
    while (test.sinks[0]?.write(chunk)) taken += 1;
    expect(taken).toBeGreaterThanOrEqual(9);
    expect(taken).toBeLessThan(12);
    await expect(reply.text()).rejects.toThrow();
  });
});
