import { type Principal, toPrincipalKey } from '../auth/principal.ts';
import type { Claims } from '../sessions/claims.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ChangeFeed } from './change-feed.ts';
import type { ClientQuestion, Exchange, ServerChange } from './dispatch-target.ts';
import type { Handles, SessionState } from './handler-context.ts';
import type { HandlerFailure } from './handler-failure.ts';
import { createHandles } from './handles.ts';
import type {
  ClientCapabilities,
  Implementation,
  JsonRpcId,
  JsonRpcNotification,
  LoggingLevel,
} from './protocol-types.ts';
import type { SealedBox } from './sealed-box.ts';
import type { PresentedState } from './single-use-state.ts';

/** What every exchange of a host shares. */
export interface ExchangeServices {
  readonly changes: ChangeFeed;
  readonly box: SealedBox;
  readonly claims: Claims;
  readonly logger: Logger;
}

/** Who asked, and under which ids. */
export interface Caller {
  readonly principal: Principal;
  /** The HTTP request's id, or one made for a message on stdio. */
  readonly requestId: string;
}

/** What the exchanges of both eras do alike. What costs something is made when a handler first asks for it. */
export abstract class ServerExchange implements Exchange {
  abstract readonly era: 'modern' | 'legacy';
  abstract readonly protocolVersion: string;
  abstract readonly clientInfo: Implementation | undefined;
  abstract readonly clientCapabilities: ClientCapabilities;
  abstract readonly logLevel: LoggingLevel | undefined;
  abstract readonly session: SessionState | undefined;
  abstract readonly parameterHeaders: Readonly<Record<string, string>> | undefined;

  readonly id: JsonRpcId;
  readonly #caller: Caller;
  readonly #services: ExchangeServices;
  #abort: AbortController | undefined;
  #isAborted = false;
  #handles: Handles | undefined;

  constructor(id: JsonRpcId, caller: Caller, services: ExchangeServices) {
    this.id = id;
    this.#caller = caller;
    this.#services = services;
  }

  get principal(): Principal {
    return this.#caller.principal;
  }

  get requestId(): string {
    return this.#caller.requestId;
  }

  get handles(): Handles {
    this.#handles ??= createHandles(this.#services.box, toPrincipalKey(this.principal));
    return this.#handles;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#isAborted) this.#abort.abort();
    }
    return this.#abort.signal;
  }

  get isAborted(): boolean {
    return this.#isAborted;
  }

  /** Tells the handler to stop. */
  abort(): void {
    this.#isAborted = true;
    this.#abort?.abort();
  }

  /** Never rejects: what changed has changed, and a call must not fail because others could not be told. */
  async publish(change: ServerChange): Promise<void> {
    try {
      await this.#services.changes.publish(change);
    } catch (error) {
      this.#services.logger.error(
        'mcp.change_not_told',
        { requestId: this.requestId, kind: change.kind },
        error,
      );
    }
  }

  report(failure: HandlerFailure): void {
    if (failure.isProvoked) {
      const { name, message } = toError(failure.cause);
      const reason = `${name}: ${message.slice(0, maxReasonLength)}`;
      this.#services.logger.warn('mcp.schema_threw', {
        requestId: this.requestId,
        what: failure.what,
        reason,
      });
      return;
    }
    this.#services.logger.error(
      'mcp.handler_failed',
      { requestId: this.requestId, what: failure.what },
      failure.cause,
    );
  }

  abstract enter(state?: PresentedState): Promise<void> | undefined;
  abstract notify(notification: JsonRpcNotification): void;
  abstract ask(question: ClientQuestion): Promise<Readonly<Record<string, unknown>>>;
  abstract recall(key: string): string | undefined;
  abstract remember(key: string, value: string): void;
  abstract releaseConnection(retryMs: number | undefined): void;
}

/** Longest part of an error's text in a warning. */
const maxReasonLength = 200;

function toError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause));
}
