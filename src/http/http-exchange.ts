import type { Principal } from '../auth/principal.ts';
import type { AddressSource, ToClientAddress } from './client-address.ts';
import type { HttpRequest, RequestHeaders } from './messages.ts';
import type { PathEntry, Route } from './routes.ts';

/** What an adapter knows of a request before its body was read. */
export interface RequestHead extends AddressSource {
  readonly method: string;
  /** Without query, still percent-encoded. */
  readonly path: string;
  readonly query: string;
  /** The authority that was asked for: of an absolute request target, otherwise the `Host` header. */
  readonly host: string | undefined;
  /** See `HttpRequest.onClose`. */
  onClose(listener: () => void): void;
}

const noParameters: Readonly<Record<string, string>> = Object.freeze({});
const noHeaders: readonly string[] = Object.freeze([]);

/** One request on its way through the stages, each of which fills in what it found out; then what handlers see. */
export class HttpExchange implements HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: RequestHeaders;
  readonly host: string | undefined;
  /** On the clock of the edge, in milliseconds. */
  readonly startedAt: number;
  body = '';
  requestId = '';
  principal: Principal | undefined = undefined;
  parameters: Readonly<Record<string, string>> = noParameters;
  /** What the path names; absent when it names nothing. */
  entry: PathEntry | undefined = undefined;
  /** The row for path and method; absent when the path has none for it. */
  route: Route | undefined = undefined;
  /** CORS reply headers, name and value in turns. */
  corsHeaders: readonly string[] = noHeaders;
  readonly #head: RequestHead;
  readonly #toClientAddress: ToClientAddress;

  constructor(head: RequestHead, startedAt: number, toClientAddress: ToClientAddress) {
    this.method = head.method;
    this.path = head.path;
    this.query = head.query;
    this.headers = head.headers;
    this.host = head.host;
    this.startedAt = startedAt;
    this.#head = head;
    this.#toClientAddress = toClientAddress;
  }

  get clientAddress(): string | undefined {
    return this.#toClientAddress(this.#head);
  }

  onClose(listener: () => void): void {
    this.#head.onClose(listener);
  }
}
