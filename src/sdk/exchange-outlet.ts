import type { JSONRPCNotification, JSONRPCRequest, JSONRPCResponse } from '@modelcontextprotocol/server';
import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import type { ClientQuestion, Exchange, ServerChange } from '../mcp/dispatch-target.ts';
import { isRecord } from '../mcp/json-rpc.ts';
import { isLogged, isLoggingLevel } from '../mcp/logging-levels.ts';
import type { JsonRpcNotification } from '../mcp/protocol-types.ts';
import type { Outlet } from './exchange-transport.ts';

/** How long a question may wait. The SDK's own timeout (60 s unless its author says otherwise) usually comes first. */
export const maxAskMs = 600_000;

/** Carries what a hosted instance says on its own account to where the exchange wants it. */
export class ExchangeOutlet implements Outlet {
  readonly #exchange: Exchange;
  readonly #answer: (response: JSONRPCResponse) => void;
  readonly #failed: (error: unknown) => void;
  readonly #publishing = new Set<Promise<void>>();
  readonly #asking = new Set<string | number>();
  #isEnded = false;

  /**
   * @param answer feeds the client's answer to a question back to the instance
   * @param failed told when a change could not be published; the author's call does not fail for it
   */
  constructor(
    exchange: Exchange,
    answer: (response: JSONRPCResponse) => void,
    failed: (error: unknown) => void,
  ) {
    this.#exchange = exchange;
    this.#answer = answer;
    this.#failed = failed;
  }

  /** Whether a question is still open. */
  get isAsking(): boolean {
    return this.#asking.size > 0;
  }

  /** Resolves when every change so far is published or has failed. */
  async published(): Promise<void> {
    if (this.#publishing.size > 0) await Promise.all(this.#publishing);
  }

  /** Ends what relates to the request. Changes are still published: they concern others. */
  end(): void {
    this.#isEnded = true;
    this.#asking.clear();
  }

  notification(message: JSONRPCNotification): void {
    const change = toChange(message, this.#exchange.principal.activeTenantId);
    if (change !== undefined) {
      this.#publish(change);
      return;
    }
    if (this.#isEnded) return;
    // Cancels a question by the instance's own id, which the client does not know it by: we only stop waiting.
    if (message.method === 'notifications/cancelled') {
      const id = message.params?.['requestId'];
      if (typeof id === 'string' || typeof id === 'number') this.#asking.delete(id);
      return;
    }
    if (message.method === 'notifications/message' && !this.#isWanted(message)) return;
    // The SDK's own type says the same in other words: its `_meta` is typed.
    this.#exchange.notify(message as JsonRpcNotification);
  }

  request(message: JSONRPCRequest): void {
    const question = toQuestion(message);
    if (question === undefined || this.#isEnded) {
      this.#answer(toUnaskedAnswer(message));
      return;
    }
    this.#asking.add(message.id);
    this.#exchange.ask(question).then(
      (result) => {
        this.#answerIfAsking({ jsonrpc: '2.0', id: message.id, result: { ...result } });
      },
      (reason: unknown) => {
        this.#answerIfAsking({ jsonrpc: '2.0', id: message.id, error: toErrorObject(reason) });
      },
    );
  }

  #answerIfAsking(response: JSONRPCResponse & { readonly id: string | number }): void {
    if (this.#asking.delete(response.id)) this.#answer(response);
  }

  #isWanted(message: JSONRPCNotification): boolean {
    const level = message.params?.['level'];
    return isLoggingLevel(level) && isLogged(level, this.#exchange.logLevel);
  }

  #publish(change: ServerChange): void {
    const published = this.#exchange
      .publish(change)
      .catch(this.#failed)
      .finally(() => {
        this.#publishing.delete(published);
      });
    this.#publishing.add(published);
  }
}

function toChange({ method, params }: JSONRPCNotification, tenantId: string): ServerChange | undefined {
  switch (method) {
    case 'notifications/tools/list_changed':
      return { kind: 'list_changed', list: 'tools', tenantId };
    case 'notifications/prompts/list_changed':
      return { kind: 'list_changed', list: 'prompts', tenantId };
    case 'notifications/resources/list_changed':
      return { kind: 'list_changed', list: 'resources', tenantId };
    case 'notifications/resources/updated':
      return { kind: 'resource_updated', uri: String(params?.['uri']), tenantId };
    default:
      return undefined;
  }
}

function toQuestion({ id, method, params = {} }: JSONRPCRequest): ClientQuestion | undefined {
  if (method !== 'elicitation/create' && method !== 'sampling/createMessage' && method !== 'roots/list')
    return undefined;
  return { method, params: withoutProgressToken(params), key: String(id), timeoutMs: maxAskMs };
}

/** The token is the instance's own number, and would be some other call's in the session. */
function withoutProgressToken(params: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (!isRecord(params['_meta']) || params['_meta']['progressToken'] === undefined) return params;
  const { progressToken: _token, ...meta } = params['_meta'];
  const { _meta: _whole, ...rest } = params;
  return Object.keys(meta).length > 0 ? { ...rest, _meta: meta } : rest;
}

/** `ping` asks whether the client is there: it is, its request is being answered. */
function toUnaskedAnswer({ id, method }: JSONRPCRequest): JSONRPCResponse {
  if (method === 'ping') return { jsonrpc: '2.0', id, result: {} };
  const message = `Method not found: this host does not pass ${method} to clients`;
  return { jsonrpc: '2.0', id, error: { code: protocolErrorCodes.methodNotFound, message } };
}

function toErrorObject(reason: unknown): { code: number; message: string; data?: unknown } {
  if (!(reason instanceof ProtocolError)) {
    return { code: protocolErrorCodes.internalError, message: 'The client could not be asked' };
  }
  const { code, message, data } = reason;
  return data === undefined ? { code, message } : { code, message, data };
}
