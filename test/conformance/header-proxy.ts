/**
 * A reverse proxy that adds one header, for test tools that cannot send credentials.
 *
 * It changes nothing else: Host and Origin go through, bodies stream in both directions as they arrive, and either
 * side's disconnect ends the other. It listens on loopback only and trusts everyone who reaches it.
 */
import { createServer, request as sendRequest } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the proxy stands in front of. */
export interface HeaderProxyOptions {
  /** Scheme, host and port; only `http:`. */
  readonly target: string;
  readonly header: readonly [name: string, value: string];
  /** Default 0: any free port. */
  readonly port?: number;
}

/** A listening proxy. */
export interface HeaderProxy {
  /** Without a trailing slash. */
  readonly url: string;
  close(): Promise<void>;
}

/** RFC 9110, section 7.6.1: these belong to one connection and are not passed on. */
const hopByHopHeaders = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/** Starts the proxy on 127.0.0.1. */
export async function startHeaderProxy(options: HeaderProxyOptions): Promise<HeaderProxy> {
  const target = new URL(options.target);
  const server = createServer((request, response) => forward(request, response, target, options.header));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  // Listening on TCP, so the address is never a pipe's name.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

function forward(
  request: IncomingMessage,
  response: ServerResponse,
  target: URL,
  [name, value]: HeaderProxyOptions['header'],
): void {
  const upstream = sendRequest({
    // A connection per request: a kept-alive one may be closed by the target just as it is used again.
    agent: false,
    hostname: target.hostname,
    port: target.port,
    method: request.method,
    path: request.url,
    headers: { ...withoutHopByHop(request.headers), [name.toLowerCase()]: value },
  });
  upstream.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, withoutHopByHop(answer.headers));
    response.flushHeaders();
    answer.pipe(response);
    answer.on('close', () => {
      if (!answer.complete) response.destroy();
    });
  });
  upstream.on('error', (error) => {
    if (response.headersSent) response.destroy();
    else
      response
        .writeHead(502, { 'content-type': 'text/plain' })
        .end(`The target did not answer: ${error.message}\n`);
  });
  response.on('close', () => upstream.destroy());
  request.pipe(upstream);
}

function withoutHopByHop(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHopHeaders.includes(name)));
}
