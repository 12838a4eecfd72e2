import type { SessionRecord } from '../sessions/session-store.ts';
import type { ClientAnswers } from './client-answers.ts';
import type { ClientQuestion } from './dispatch-target.ts';
import type { SessionState } from './handler-context.ts';
import { renderMessage } from './json-rpc.ts';
import type {
  ClientCapabilities,
  Implementation,
  JsonRpcId,
  JsonRpcNotification,
  LoggingLevel,
} from './protocol-types.ts';
import { type Caller, type ExchangeServices, ServerExchange } from './server-exchange.ts';

/** What one legacy request brings. */
export interface LegacyExchangeParts {
  readonly id: JsonRpcId;
  readonly session: SessionRecord;
  readonly caller: Caller;
  readonly answers: ClientAnswers;
  /** Sends a message ahead of the response. */
  readonly push: (message: string) => void;
  /** Ends the connection and leaves the stream. */
  readonly release: (retryMs: number | undefined) => void;
  readonly state: () => SessionState;
}

/** A request of a session: who the client is was told when the session was opened. */
export class LegacyExchange extends ServerExchange {
  override readonly era = 'legacy';
  override readonly parameterHeaders = undefined;
  readonly #parts: LegacyExchangeParts;
  #state: SessionState | undefined;

  constructor(parts: LegacyExchangeParts, services: ExchangeServices) {
    super(parts.id, parts.caller, services);
    this.#parts = parts;
  }

  override get protocolVersion(): string {
    return this.#parts.session.protocolVersion;
  }

  override get clientInfo(): Implementation {
    return this.#parts.session.clientInfo;
  }

  override get clientCapabilities(): ClientCapabilities {
    return this.#parts.session.clientCapabilities;
  }

  /** Until the client sets one, the server chooses; ours sends all. MCP 2025-11-25, Logging, Setting Log Level. */
  override get logLevel(): LoggingLevel {
    return this.#parts.session.logLevel ?? 'debug';
  }

  override get session(): SessionState {
    this.#state ??= this.#parts.state();
    return this.#state;
  }

  /** A legacy handler waits for its answers: there is no state to present again. */
  override enter(): undefined {
    return undefined;
  }

  override notify(notification: JsonRpcNotification): void {
    this.#parts.push(renderMessage(notification));
  }

  override ask(question: ClientQuestion): Promise<Readonly<Record<string, unknown>>> {
    return this.#parts.answers.ask(question, {
      party: this.#parts.session,
      capabilities: this.clientCapabilities,
      signal: this.signal,
      send: this.#parts.push,
    });
  }

  /** A legacy handler runs once, so there is nothing to keep. */
  override recall(): undefined {
    return undefined;
  }

  override remember(): void {}

  override releaseConnection(retryMs: number | undefined): void {
    this.#parts.release(retryMs);
  }
}
