import { toHeader } from '../messages.ts';
import type { Stage } from '../stage.ts';

const acceptable = /^[A-Za-z0-9._-]{1,64}$/;

/** Takes the client's `X-Request-Id` when it is safe to log, otherwise makes one. */
export function createRequestIdStage(createRequestId: () => string): Stage {
  return (exchange) => {
    const given = toHeader(exchange.headers, 'x-request-id');
    exchange.requestId = given !== undefined && acceptable.test(given) ? given : createRequestId();
    return undefined;
  };
}

/**
 * Ids that are unique over instances and cost no randomness per request.
 *
 * @param instanceId random, at least 32 bits
 */
export function createRequestIds(instanceId: string): () => string {
  let count = 0;
  return () => `${instanceId}-${(count++).toString(36)}`;
}
