/** The same pipeline for runtimes that speak web `Request` and `Response`. */
import { BodyBuffer } from './body-buffer.ts';
import type { HttpExchange, RequestHead } from './http-exchange.ts';
import type { FullReply, HttpReply, RequestHeaders, StreamReply, StreamSink } from './messages.ts';
import type { HttpEdge } from './pipeline.ts';

/** What `createFetch` may be told. */
export interface FetchOptions {
  /** What may wait for a client that reads a stream slowly. Default 1 MiB. */
  readonly streamBufferBytes?: number;
}

/** A web request handler over the pipeline. It never rejects. */
export function createFetch(
  edge: HttpEdge,
  options: FetchOptions = {},
): (request: Request) => Promise<Response> {
  const streamBufferBytes = options.streamBufferBytes ?? 1024 * 1024;
  return async (request) => {
    const head = toHead(request);
    const exchange = edge.open(head);
    const reply = (await edge.begin(exchange)) ?? (await readAndFinish(edge, exchange, request));
    try {
      return toResponse(reply);
    } catch (error) {
      // A header that is none, or a stream that could not be opened.
      return toResponse(edge.refuse(exchange, error));
    }

    function toResponse(sent: HttpReply): Response {
      const init = { status: sent.status, headers: toHeaders(edge.toWireHeaders(exchange, sent)) };
      if (sent.kind === 'full') {
        edge.record(exchange, sent);
        return new Response(toBody(request.method, sent), init);
      }
      const ended = (): void => {
        edge.record(exchange, sent);
      };
      return new Response(toByteStream(sent, head, { streamBufferBytes, ended }), init);
    }
  };
}

/** A head that can be told that its client has left: by its signal, or by cancelling the body of the reply. */
interface WebHead extends RequestHead {
  leave(): void;
}

function toHead(request: Request): WebHead {
  const url = new URL(request.url);
  const headers: Record<string, string> = {};
  for (const [name, value] of request.headers) headers[name] = value;
  const listeners: (() => void)[] = [];
  let isGone = false;
  const leave = (): void => {
    if (isGone) return;
    isGone = true;
    for (const listener of listeners) listener();
  };
  if (request.signal.aborted) leave();
  else request.signal.addEventListener('abort', leave, { once: true });
  return {
    method: request.method,
    path: url.pathname,
    query: url.search.slice(1),
    headers: headers satisfies RequestHeaders,
    host: headers['host'] ?? url.host,
    peerAddress: undefined,
    onClose(listener) {
      if (isGone) listener();
      else listeners.push(listener);
    },
    leave,
  };
}

async function readAndFinish(edge: HttpEdge, exchange: HttpExchange, request: Request): Promise<HttpReply> {
  try {
    exchange.body = await readBody(request, exchange.route?.maxBodyBytes ?? 0);
  } catch (error) {
    return edge.refuse(exchange, error);
  }
  return edge.finish(exchange);
}

async function readBody(request: Request, maxBodyBytes: number): Promise<string> {
  if (!request.body) return '';
  const body = new BodyBuffer(maxBodyBytes);
  for await (const chunk of request.body as AsyncIterable<Uint8Array>) body.push(chunk);
  return body.decode();
}

function toHeaders(wire: readonly string[]): Headers {
  const headers = new Headers();
  for (let index = 0; index < wire.length; index += 2)
    headers.append(wire[index] ?? '', wire[index + 1] ?? '');
  return headers;
}

function toBody(method: string, { status, body }: FullReply): string | null {
  return method === 'HEAD' || status === 204 || status === 304 ? null : body;
}

interface ByteStreamOptions {
  readonly streamBufferBytes: number;
  readonly ended: () => void;
}

function toByteStream(
  reply: StreamReply,
  head: WebHead,
  options: ByteStreamOptions,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const listeners: (() => void)[] = [];
  let state: 'open' | 'ended' | 'gone' = 'open';
  let controller: ReadableStreamDefaultController<Uint8Array>;

  function leave(): void {
    if (state !== 'open') return;
    state = 'gone';
    options.ended();
    for (const listener of listeners) listener();
    // A runtime may cancel the reply's body without ever aborting the request's signal.
    head.leave();
  }

  function cut(reason: string): void {
    if (state === 'open') controller.error(new Error(reason));
    leave();
  }

  const sink: StreamSink = {
    get isOpen() {
      return state === 'open';
    },
    write(chunk) {
      if (state !== 'open') return false;
      if ((controller.desiredSize ?? 0) < 0) {
        cut('The client read too slowly.');
        return false;
      }
      controller.enqueue(encoder.encode(chunk));
      return true;
    },
    end() {
      if (state !== 'open') return;
      state = 'ended';
      controller.close();
      options.ended();
    },
    onClose(listener) {
      if (state === 'gone') listener();
      else if (state === 'open') listeners.push(listener);
    },
  };
  return new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given;
        head.onClose(() => {
          cut('The client is gone.');
        });
        reply.open(sink);
      },
      cancel: leave,
    },
    new ByteLengthQueuingStrategy({ highWaterMark: options.streamBufferBytes }),
  );
}
