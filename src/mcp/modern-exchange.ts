import { toPrincipalKey } from '../auth/principal.ts';
import { CallRounds } from './call-rounds.ts';
import type { ClientQuestion, FeatureRequest } from './dispatch-target.ts';
import { renderMessage } from './json-rpc.ts';
import type { ModernEnvelope } from './modern-envelope.ts';
import type {
  ClientCapabilities,
  Implementation,
  JsonRpcId,
  JsonRpcNotification,
  LoggingLevel,
} from './protocol-types.ts';
import { claimState, type PresentedState } from './single-use-state.ts';
import { type Caller, type ExchangeServices, ServerExchange } from './server-exchange.ts';

/** What one modern request brings. */
export interface ModernExchangeParts {
  readonly id: JsonRpcId;
  readonly request: FeatureRequest;
  readonly envelope: ModernEnvelope;
  readonly caller: Caller;
  /** Sends a message ahead of the response. */
  readonly push: (message: string) => void;
  /** `Mcp-Param-*` headers by lower-case name, read when asked for; `undefined` off HTTP. */
  readonly parameterHeaders: (() => Readonly<Record<string, string>>) | undefined;
  readonly requestStateTtlSeconds: number;
}

/** A request of the stateless era: everything known of the caller came with it. */
export class ModernExchange extends ServerExchange {
  override readonly era = 'modern';
  override readonly session = undefined;
  readonly #parts: ModernExchangeParts;
  readonly #services: ExchangeServices;
  #rounds: CallRounds | undefined;
  #entering: Promise<void> | undefined;

  constructor(parts: ModernExchangeParts, services: ExchangeServices) {
    super(parts.id, parts.caller, services);
    this.#parts = parts;
    this.#services = services;
  }

  override get protocolVersion(): string {
    return this.#parts.envelope.protocolVersion;
  }

  override get clientInfo(): Implementation | undefined {
    return this.#parts.envelope.clientInfo;
  }

  override get clientCapabilities(): ClientCapabilities {
    return this.#parts.envelope.clientCapabilities;
  }

  override get logLevel(): LoggingLevel | undefined {
    return this.#parts.envelope.logLevel;
  }

  override get parameterHeaders(): Readonly<Record<string, string>> | undefined {
    return this.#parts.parameterHeaders?.();
  }

  /**
   * The rounds of this request, read from it when first needed.
   *
   * @throws ProtocolError `-32602` for a state that does not open
   */
  get rounds(): CallRounds {
    const { method, params } = this.#parts.request;
    this.#rounds ??= CallRounds.parse(method, params, {
      box: this.#services.box,
      ttlSeconds: this.#parts.requestStateTtlSeconds,
      principalKey: toPrincipalKey(this.principal),
    });
    return this.#rounds;
  }

  /** Whether the handler asked something that the client has yet to answer. */
  get isSuspended(): boolean {
    return this.#rounds?.isSuspended ?? false;
  }

  /** Rounds that a request with a state has were read before it was dispatched. */
  override enter(state: PresentedState | undefined = this.#rounds?.presented): Promise<void> | undefined {
    if (state === undefined) return undefined;
    this.#entering ??= claimState(state, this.requestId, this.#services);
    return this.#entering;
  }

  override notify(notification: JsonRpcNotification): void {
    this.#parts.push(renderMessage(notification));
  }

  override ask(question: ClientQuestion): Promise<Readonly<Record<string, unknown>>> {
    return this.rounds.ask(question, this.clientCapabilities);
  }

  override recall(key: string): string | undefined {
    return this.rounds.recall(key);
  }

  override remember(key: string, value: string): void {
    this.rounds.remember(key, value);
  }

  /** Streams of this era cannot be resumed. MCP 2026-07-28, Streamable HTTP, Receiving Messages. */
  override releaseConnection(): void {}
}
