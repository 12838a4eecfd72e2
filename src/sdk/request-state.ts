/**
 * Guards the `requestState` of a hosted server. The SDK leaves its integrity to the author; here it always travels
 * sealed: bound to the principal and to this very request, and it expires. It does not stop a state from being
 * presented again until then.
 *
 * @see MCP 2026-07-28, Multi Round-Trip Requests, Security
 */
import { toPrincipalKey } from '../auth/principal.ts';
import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import { digestRequest } from '../mcp/call-rounds.ts';
import type { Exchange, FeatureRequest } from '../mcp/dispatch-target.ts';
import type { SealedBox } from '../mcp/sealed-box.ts';

/** How long a state may take to come back: the user answers in between. */
export const defaultStateTtlSeconds = 3600;

const purpose = 'sdk-request-state';
const methodsWithState: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);

/** Seals and opens the states of one hosted server. */
export class RequestStates {
  readonly #box: SealedBox;
  readonly #ttlSeconds: number;

  constructor(box: SealedBox, ttlSeconds: number) {
    this.#box = box;
    this.#ttlSeconds = ttlSeconds;
  }

  /**
   * The state as the server wrote it, `undefined` where the request has none or may not have one.
   *
   * @throws ProtocolError `-32602` when it does not open
   */
  open(request: FeatureRequest, exchange: Exchange): string | undefined {
    const sealed = request.params['requestState'];
    if (sealed === undefined || !methodsWithState.has(request.method)) return undefined;
    const boundTo = toBinding(request, exchange);
    const opened = typeof sealed === 'string' ? this.#box.open(sealed, { purpose, boundTo }) : undefined;
    if (opened !== undefined) return opened;
    throw new ProtocolError(
      protocolErrorCodes.invalidParams,
      'Invalid params: requestState is altered, expired, or belongs to another request; send the request again without it',
      { reason: 'invalid_request_state' },
    );
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
