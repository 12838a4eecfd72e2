import type {
  JSONRPCMessage,
  JSONRPCNotification,
  JSONRPCRequest,
  JSONRPCResponse,
  MessageExtraInfo,
  ScopeChallengeHandler,
  Transport,
} from '@modelcontextprotocol/server';

/** Where what a hosted instance says on its own account goes. */
export interface Outlet {
  notification(message: JSONRPCNotification): void;
  request(message: JSONRPCRequest): void;
}

/**
 * The wire of one hosted instance: in process, for one exchange, and never used again. What the instance still says
 * after `close` is dropped, so that nothing of one caller can arrive at the next.
 */
export class ExchangeTransport implements Transport {
  onclose?: (() => void) | undefined;
  onerror?: ((error: Error) => void) | undefined;
  onmessage?:
    | (<Message extends JSONRPCMessage>(message: Message, extra?: MessageExtraInfo) => void)
    | undefined;
  readonly sessionId?: string;

  readonly #outlet: Outlet;
  readonly #waiting = new Map<string | number, Waiting>();
  #scopeChallenge: ScopeChallengeHandler | undefined;
  #isClosed = false;

  constructor(outlet: Outlet, sessionId?: string) {
    this.#outlet = outlet;
    if (sessionId !== undefined) this.sessionId = sessionId;
  }

  /** Per-operation scopes the server declared; the SDK hands them over while it connects. */
  get scopeChallenge(): ScopeChallengeHandler | undefined {
    return this.#scopeChallenge;
  }

  setScopeChallengeResolver(resolver: ScopeChallengeHandler): void {
    this.#scopeChallenge = resolver;
  }

  async start(): Promise<void> {}

  async send(message: JSONRPCMessage): Promise<void> {
    if (this.#isClosed) return;
    if (!('method' in message)) this.#settle(message);
    else if ('id' in message) this.#outlet.request(message);
    else this.#outlet.notification(message);
  }

  /** Feeds a request. Rejects when the transport closes before the answer. */
  call(request: JSONRPCRequest, extra?: MessageExtraInfo): Promise<JSONRPCResponse> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.id, { resolve, reject });
      this.deliver(request, extra);
    });
  }

  /** Feeds a message that has no answer. */
  deliver(message: JSONRPCMessage, extra?: MessageExtraInfo): void {
    if (!this.#isClosed) this.onmessage?.(message, extra);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { reject } of this.#waiting.values())
      reject(new Error('The hosted server closed before it answered'));
    this.#waiting.clear();
    this.onclose?.();
  }

  #settle(response: JSONRPCResponse): void {
    if (response.id === undefined) return;
    const waiting = this.#waiting.get(response.id);
    this.#waiting.delete(response.id);
    waiting?.resolve(response);
  }
}

interface Waiting {
  readonly resolve: (response: JSONRPCResponse) => void;
  readonly reject: (reason: Error) => void;
}
