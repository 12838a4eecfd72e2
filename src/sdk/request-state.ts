/**
 * Guards the `requestState` of a hosted server. The SDK leaves its integrity to the author; here it always travels
 * sealed: bound to the principal and to this very request, good for one run, and it expires.
 *
 * @see MCP 2026-07-28, Multi Round-Trip Requests, Security
 */
import { toPrincipalKey } from '../auth/principal.ts';
import { digestRequest } from '../mcp/call-rounds.ts';
import type { Exchange, FeatureRequest } from '../mcp/dispatch-target.ts';
import type { SealedBox } from '../mcp/sealed-box.ts';
import { type PresentedState, toInvalidState, toPresentedState } from '../mcp/single-use-state.ts';

/** How long a state may take to come back: the user answers in between. */
export const defaultStateTtlSeconds = 3600;

const purpose = 'sdk-request-state';
const methodsWithState: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);

/** A state that came with a request. */
export interface OpenedState {
  /** As the server wrote it. */
  readonly text: string;
  /** To be claimed before the server sees it. */
  readonly presented: PresentedState;
}

/** Seals and opens the states of one hosted server. */
export class RequestStates {
  readonly #box: SealedBox;
  readonly #ttlSeconds: number;

  constructor(box: SealedBox, ttlSeconds: number) {
    this.#box = box;
    this.#ttlSeconds = ttlSeconds;
  }

  /**
   * The state of a request, `undefined` where it has none or may not have one.
   *
   * @throws ProtocolError `-32602` when it does not open
   */
  open(request: FeatureRequest, exchange: Exchange): OpenedState | undefined {
    const sealed = request.params['requestState'];
    if (sealed === undefined || !methodsWithState.has(request.method)) return undefined;
    const boundTo = toBinding(request, exchange);
    const opened = typeof sealed === 'string' ? this.#box.openDated(sealed, { purpose, boundTo }) : undefined;
    if (typeof sealed !== 'string' || opened === undefined) throw toInvalidState();
    return { text: opened.value, presented: toPresentedState(sealed, opened.expiresAt) };
  }

  /** The result with its state sealed, when it asks the client to come back with one. */
  sealIn(
    result: Readonly<Record<string, unknown>>,
    request: FeatureRequest,
    exchange: Exchange,
  ): Readonly<Record<string, unknown>> {
    const { requestState } = result;
    if (result['resultType'] !== 'input_required' || typeof requestState !== 'string') return result;
    const boundTo = toBinding(request, exchange);
    const sealed = this.#box.seal(requestState, { purpose, boundTo, ttlSeconds: this.#ttlSeconds });
    return { ...result, requestState: sealed };
  }
}

function toBinding(request: FeatureRequest, exchange: Exchange): string {
  return `${toPrincipalKey(exchange.principal)} ${digestRequest(request.method, request.params)}`;
}
