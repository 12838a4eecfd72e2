/**
 * HTTP as plain values. Handlers take and return these, so that tests call them without a socket and the hot path
 * under Node builds no web `Request` or `Response`; `node-server.ts` and `fetch.ts` adapt them.
 */
import type { Principal } from '../auth/principal.ts';

/** Header names in lower case; a repeated header is joined by `, `. */
export type RequestHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** Response header names as they go on the wire. */
export type ReplyHeaders = Readonly<Record<string, string>>;

/** What a handler adds to the request's log line: bounded values only, never a token, body or argument. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** One request, its body read. */
export interface HttpRequest {
  readonly method: string;
  /** Without query, still percent-encoded. */
  readonly path: string;
  /** After `?`, still encoded; empty when there is none. */
  readonly query: string;
  readonly headers: RequestHeaders;
  /** Empty for a request without a body. UTF-8. */
  readonly body: string;
  /** For logs and the `X-Request-Id` reply header. */
  readonly requestId: string;
  /** Present on routes whose row says `auth: 'principal'`, absent on the others. */
  readonly principal: Principal | undefined;
  /** Values of `{name}` segments in the route's path. */
  readonly parameters: Readonly<Record<string, string>>;
  /**
   * Canonical IP address that the request comes from, as far as trusted proxies tell; absent when it is not known. Found
   * when it is asked for, and asked for before anything is waited for: a client may leave.
   */
  readonly clientAddress: string | undefined;
  /** Calls back once when the client is gone before the reply is complete; at once when it already is. */
  onClose(listener: () => void): void;
}

/** A reply that is known whole. */
export interface FullReply {
  readonly kind: 'full';
  readonly status: number;
  readonly headers: ReplyHeaders;
  /** Values of `Set-Cookie`, a header each. */
  readonly cookies?: readonly string[];
  /** Empty for none. */
  readonly body: string;
  readonly log?: LogFields;
}

/** A reply that is written over time, for Server-Sent Events. */
export interface StreamReply {
  readonly kind: 'stream';
  readonly status: number;
  readonly headers: ReplyHeaders;
  /** Called once, after the head was sent. */
  readonly open: (sink: StreamSink) => void;
  readonly log?: LogFields;
}

export type HttpReply = FullReply | StreamReply;

/** Where a stream reply is written. Bounded: a client that reads too slowly is cut. */
export interface StreamSink {
  /** False once the client is gone. */
  readonly isOpen: boolean;
  /** @returns false when the chunk was not taken: the client is gone, or was cut for reading too slowly */
  write(chunk: string): boolean;
  /** Ends the reply cleanly. Idempotent. */
  end(): void;
  /** Calls back once when the client is gone or was cut, not after `end`; at once when it already is. */
  onClose(listener: () => void): void;
}

/** A reply with a JSON body. */
export function toJsonReply(status: number, value: unknown, headers: ReplyHeaders = {}): FullReply {
  return {
    kind: 'full',
    status,
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(value),
  };
}

/** One header's value; the first when a client repeated it. */
export function toHeader(headers: RequestHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : value?.[0];
}
