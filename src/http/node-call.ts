/** One request and its reply on a Node socket: reads the body, writes the reply, notices the client's leaving. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { RequestError } from '../errors.ts';
import { BodyBuffer } from './body-buffer.ts';
import type { HttpExchange, RequestHead } from './http-exchange.ts';
import type { FullReply, HttpReply, RequestHeaders, StreamReply } from './messages.ts';
import { NodeStreamSink } from './node-stream-sink.ts';
import type { HttpEdge } from './pipeline.ts';
import { toRequestTarget } from './request-target.ts';

/** What a call needs of its server. */
export interface NodeCallContext {
  readonly edge: HttpEdge;
  readonly limits: {
    readonly maxHeaders: number;
    readonly streamBufferBytes: number;
    readonly sendTimeoutMs: number;
  };
  readonly isStopping: boolean;
  /** The call is over, however it went. */
  ended(call: NodeCall): void;
}

/** After a reply that comes before the body was read: how much of it, and for how long, is read and thrown away. */
const lingerBytes = 1024 * 1024;
const lingerMs = 1000;
/** A declared body up to this is read to its end, so that the connection can be kept. */
const drainBytes = 64 * 1024;

/** @see HttpEdge */
export class NodeCall implements RequestHead {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: RequestHeaders;
  readonly host: string | undefined;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly #context: NodeCallContext;
  readonly #exchange: HttpExchange;
  readonly #expectsContinue: boolean;
  #isBodyRead = false;
  #isLast = false;
  #isEnded = false;
  #isGone = false;
  #reply: HttpReply | undefined = undefined;
  #closeListeners: (() => void)[] | undefined = undefined;

  constructor(context: NodeCallContext, request: IncomingMessage, options: NodeCallOptions) {
    const target = toRequestTarget(request.url ?? '');
    this.#context = context;
    this.request = request;
    this.response = options.response;
    this.#expectsContinue = options.expectsContinue;
    this.method = request.method ?? '';
    this.path = target.path;
    this.query = target.query;
    this.headers = request.headers;
    this.host = target.authority ?? request.headers.host;
    this.#exchange = context.edge.open(this);
    options.response.on('close', () => {
      this.#onClosed();
    });
  }

  /** Node keeps it once it was asked for, which `node-server.ts` does while the connection is new. */
  get peerAddress(): string {
    return this.request.socket.remoteAddress ?? '';
  }

  /** Whether its reply has begun without saying that the connection ends: whoever sent it may send another one. */
  get keepsConnection(): boolean {
    return this.response.headersSent && !this.#isLast;
  }

  /** Whether the reply has begun, so that nothing else may be written to the socket. */
  get isReplying(): boolean {
    return this.response.headersSent;
  }

  /** Whether what arrives on the socket now belongs to this request. */
  get isReadingBody(): boolean {
    return !this.#isBodyRead && !this.request.complete;
  }

  start(): void {
    const { edge, limits } = this.#context;
    const problem = findHeadProblem(this.request.rawHeaders, limits.maxHeaders);
    const outcome = edge.begin(this.#exchange);
    // After the stages, so that the refusal has its request id.
    if (problem) this.#refuse(problem);
    else if (outcome instanceof Promise) void outcome.then((reply) => this.#continue(reply));
    else this.#continue(outcome);
  }

  onClose(listener: () => void): void {
    if (this.#isGone) listener();
    else if (!this.#isEnded) (this.#closeListeners ??= []).push(listener);
  }

  /** For a client that left while its reply was waiting behind another on the same connection. */
  abandon(): void {
    this.response.destroy();
    this.#onClosed();
  }

  #continue(reply: FullReply | undefined): void {
    // The client left while its token was being checked.
    if (this.#isEnded) return;
    if (reply) this.#send(reply);
    else if (!hasBody(this.headers)) this.#dispatch('');
    else this.#readBody(this.#exchange.route?.maxBodyBytes ?? 0);
  }

  #readBody(maxBodyBytes: number): void {
    const { request } = this;
    const body = new BodyBuffer(maxBodyBytes);
    if (this.#expectsContinue) this.response.writeContinue();
    request.on('data', (chunk: Buffer) => {
      try {
        body.push(chunk);
      } catch (error) {
        request.removeAllListeners('data').removeAllListeners('end');
        this.#refuse(error);
      }
    });
    request.on('end', () => {
      this.#isBodyRead = true;
      let text: string;
      try {
        text = body.decode();
      } catch (error) {
        return this.#refuse(error);
      }
      this.#dispatch(text);
    });
  }

  #refuse(error: unknown): void {
    this.#send(this.#context.edge.refuse(this.#exchange, error));
  }

  #dispatch(body: string): void {
    this.#exchange.body = body;
    const outcome = this.#context.edge.finish(this.#exchange);
    if (outcome instanceof Promise) void outcome.then((reply) => this.#send(reply));
    else this.#send(outcome);
  }

  #send(reply: HttpReply): void {
    if (this.#isEnded || this.response.destroyed) return;
    this.#reply = reply;
    try {
      if (reply.kind === 'stream') this.#sendStream(reply);
      else this.#sendFull(reply);
    } catch (error) {
      // A header that Node refuses, before anything was written; or a stream that could not be opened.
      const refusal = this.#context.edge.refuse(this.#exchange, error);
      if (this.isReplying) {
        this.response.destroy();
      } else {
        this.#reply = refusal;
        this.#sendFull(refusal);
      }
    }
  }

  #sendFull(reply: FullReply): void {
    const { response } = this;
    const wire = this.#context.edge.toWireHeaders(this.#exchange, reply);
    if (reply.status !== 204 && reply.status !== 304)
      wire.push('Content-Length', String(Buffer.byteLength(reply.body)));
    const mustLinger = this.#mustLinger();
    this.#isLast = mustLinger || this.#context.isStopping;
    if (this.#isLast) wire.push('Connection', 'close');
    response.writeHead(reply.status, wire);
    if (mustLinger) return this.#linger(reply.body);
    response.end(reply.body);
    if (response.writableLength > 0) response.setTimeout(this.#context.limits.sendTimeoutMs);
    else this.#onEnded();
  }

  #sendStream(reply: StreamReply): void {
    const { response } = this;
    const wire = this.#context.edge.toWireHeaders(this.#exchange, reply);
    this.#isLast = this.#context.isStopping;
    if (this.#isLast) wire.push('Connection', 'close');
    response.writeHead(reply.status, wire);
    response.flushHeaders();
    reply.open(
      new NodeStreamSink(response, this.#context.limits.streamBufferBytes, (listener) => {
        this.onClose(listener);
      }),
    );
  }

  /** Whether unread parts of the body stand between this reply and the next request on the connection. */
  #mustLinger(): boolean {
    if (this.#isBodyRead || this.request.complete || !hasBody(this.headers)) return false;
    const declared = this.headers['content-length'];
    return this.#expectsContinue || declared === undefined || Number(declared) > drainBytes;
  }

  /**
   * Sends the whole reply, then goes on reading for a while before it closes: closing at once would reset the
   * connection, and the client would lose the reply (RFC 9112, section 9.6).
   */
  #linger(body: string): void {
    const { request, response } = this;
    let left = lingerBytes;
    const finish = (): void => {
      clearTimeout(timer);
      request.removeAllListeners('data').removeAllListeners('end');
      response.end();
    };
    const timer = setTimeout(finish, lingerMs);
    this.onClose(() => {
      clearTimeout(timer);
    });
    response.flushHeaders();
    if (body !== '') response.write(body);
    request.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) finish();
    });
    request.on('end', finish);
    request.resume();
  }

  #onClosed(): void {
    if (this.#isEnded) return;
    this.#isGone = !this.response.writableFinished;
    this.#onEnded();
    if (!this.#isGone) return;
    for (const listener of this.#closeListeners ?? []) listener();
  }

  #onEnded(): void {
    this.#isEnded = true;
    this.#context.ended(this);
    this.#context.edge.record(this.#exchange, this.#reply);
  }
}

/** @see NodeCall */
export interface NodeCallOptions {
  readonly response: ServerResponse;
  /** The client waits for `100 Continue` before it sends the body. */
  readonly expectsContinue: boolean;
}

function hasBody(headers: RequestHeaders): boolean {
  const declared = headers['content-length'];
  return (declared !== undefined && declared !== '0') || headers['transfer-encoding'] !== undefined;
}

/**
 * @param raw names and values in turns, as received: the parsed form has already dropped repetitions
 * @see RFC 9112, section 3.2: more than one `Host` MUST be answered 400
 */
function findHeadProblem(raw: readonly string[], maxHeaders: number): RequestError | undefined {
  if (raw.length > 2 * maxHeaders) {
    return new RequestError('headers_too_large', `The request has more than ${maxHeaders} headers.`);
  }
  let seen = 0;
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? '';
    const bit = singleHeaderBit(name);
    if ((seen & bit) !== 0) return new RequestError('request_invalid', `The header ${name} is repeated.`);
    seen |= bit;
  }
  return undefined;
}

/**
 * A bit for each header whose repetition is read differently by different programs on the way, which would let one be
 * hidden; 0 for any other. By length first: most names are done with that.
 */
function singleHeaderBit(name: string): number {
  switch (name.length) {
    case 4:
      return name.toLowerCase() === 'host' ? 1 : 0;
    case 6:
      return name.toLowerCase() === 'origin' ? 2 : 0;
    case 13:
      return name.toLowerCase() === 'authorization' ? 4 : 0;
    case 14:
      return name.toLowerCase() === 'mcp-session-id' ? 8 : 0;
    default:
      return 0;
  }
}
