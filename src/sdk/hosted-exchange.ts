import type {
  AuthInfo,
  JSONRPCRequest,
  JSONRPCResponse,
  MessageExtraInfo,
} from '@modelcontextprotocol/server';
import type { Exchange, FeatureRequest } from '../mcp/dispatch-target.ts';
import { canPollStreams } from '../mcp/protocol-versions.ts';
import type { JsonRpcNotification } from '../mcp/protocol-types.ts';
import { connectModern, replayInitialize } from './bind-era.ts';
import { ExchangeOutlet } from './exchange-outlet.ts';
import { ExchangeTransport } from './exchange-transport.ts';
import type { HostedInstance } from './instance-source.ts';
import { toLegacyParams, toModernParams } from './request-params.ts';
import type { OpenedState } from './request-state.ts';
import { requireDeclaredScopes } from './scope-challenge.ts';
import { listAllTools, toResult } from './server-answer.ts';

const listToolsId = 'mooring:tools';

/** One fresh instance, connected for one exchange, and what feeds it. */
export class HostedExchange {
  readonly #instance: HostedInstance;
  readonly #exchange: Exchange;
  readonly #authInfo: AuthInfo;
  readonly #transport: ExchangeTransport;
  readonly #outlet: ExchangeOutlet;

  constructor(
    instance: HostedInstance,
    exchange: Exchange,
    authInfo: AuthInfo,
    failed: (error: unknown) => void,
  ) {
    this.#instance = instance;
    this.#exchange = exchange;
    this.#authInfo = authInfo;
    this.#outlet = new ExchangeOutlet(exchange, (response) => this.#feed(response), failed);
    this.#transport = new ExchangeTransport(this.#outlet, exchange.session?.id);
  }

  /** Whether the instance still waits for the client. */
  get isAsking(): boolean {
    return this.#outlet.isAsking;
  }

  /** Connects the instance in the exchange's era. */
  async connect(): Promise<void> {
    const exchange = this.#exchange;
    if (exchange.era === 'legacy') {
      await this.#instance.product.connect(this.#transport);
      await replayInitialize(this.#transport, exchange);
      return;
    }
    await connectModern(this.#instance, this.#transport, exchange);
  }

  /** The instance's whole tool list; only an `McpServer`'s is a table in memory. */
  get listTools(): (() => Promise<readonly unknown[]>) | undefined {
    if (!this.#instance.isHighLevel) return undefined;
    return () =>
      listAllTools((params) =>
        this.#transport.call(this.#toRequest({ method: 'tools/list', params }, listToolsId), this.#extra()),
      );
  }

  /**
   * @throws ProtocolError as the server answered
   * @throws ProtocolError `-32602` when the request's state was used before; nothing ran
   * @throws RequestError `forbidden` when the operation needs scopes that the caller lacks
   */
  async request(
    request: FeatureRequest,
    state: OpenedState | undefined,
  ): Promise<Readonly<Record<string, unknown>>> {
    const message = this.#toRequest(request, this.#exchange.id, state?.text);
    const { scopeChallenge } = this.#transport;
    if (scopeChallenge !== undefined) await requireDeclaredScopes(scopeChallenge, message, this.#authInfo);
    await this.#exchange.enter(state?.presented);
    const answer = await this.#transport.call(message, this.#extra());
    this.#outlet.end();
    await this.#outlet.published();
    return toResult(answer);
  }

  /** Feeds a client's notification. */
  notify({ method, params }: JsonRpcNotification): void {
    this.#transport.deliver(
      params === undefined ? { jsonrpc: '2.0', method } : { jsonrpc: '2.0', method, params },
      this.#extra(),
    );
  }

  /** Tells the handler that the client gave up; its answer will not come. */
  cancel(reason: string): void {
    const params = { requestId: this.#exchange.id, reason };
    this.#transport.deliver({ jsonrpc: '2.0', method: 'notifications/cancelled', params }, this.#extra());
  }

  /** Closes the instance, and the wire even when the author's `close` does not. */
  async close(): Promise<void> {
    try {
      await this.#instance.product.close();
    } finally {
      await this.#transport.close();
    }
  }

  #feed(response: JSONRPCResponse): void {
    this.#transport.deliver(response);
  }

  #toRequest(
    request: FeatureRequest,
    id: string | number = this.#exchange.id,
    requestState?: string,
  ): JSONRPCRequest {
    const isModern = this.#exchange.era === 'modern';
    const params = isModern
      ? toModernParams(request, this.#exchange, requestState)
      : toLegacyParams(request.params);
    return { jsonrpc: '2.0', id, method: request.method, params: { ...params } };
  }

  #extra(): MessageExtraInfo {
    const { era, protocolVersion, session } = this.#exchange;
    const authInfo = this.#authInfo;
    if (era === 'modern') return { authInfo, classification: { era, revision: protocolVersion } };
    if (session === undefined || !canPollStreams(protocolVersion)) return { authInfo };
    return { authInfo, closeSSEStream: () => this.#exchange.releaseConnection(undefined) };
  }
}
