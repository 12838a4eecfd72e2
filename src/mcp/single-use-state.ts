/**
 * Makes a sealed `requestState` good for one run, over all instances: the first request that presents it claims it, as
 * the last step before the author's code runs. MCP 2026-07-28, Multi Round-Trip Requests, Security.
 *
 * A client that sent a request and lost its connection cannot know whether it ran. Sending it again with the same state
 * is refused with an error that says so, whatever its answers: a call runs at most once for each state.
 *
 * Does not check: requests without a state. They are first rounds, and each is a call of its own.
 */
import { createHash } from 'node:crypto';
import { ProtocolError, protocolErrorCodes, RequestError, UpstreamError } from '../errors.ts';
import type { Claims } from '../sessions/claims.ts';
import type { Logger } from '../telemetry/logger.ts';

/** A state that came with a request and opened. */
export interface PresentedState {
  /** Tells this state from every other. */
  readonly claimId: string;
  /** Milliseconds since the epoch; from then on it does not open. */
  readonly expiresAt: number;
}

/** What claiming a state needs. */
export interface ClaimServices {
  readonly claims: Claims;
  readonly logger: Logger;
}

/** @param sealed as it was presented: sealing makes each one another, and gives it one spelling */
export function toPresentedState(sealed: string, expiresAt: number): PresentedState {
  return { claimId: createHash('sha256').update(sealed).digest('base64url'), expiresAt };
}

/** What every state that does not open is answered, by whomever it was sealed. */
export function toInvalidState(): ProtocolError {
  return new ProtocolError(
    protocolErrorCodes.invalidParams,
    'Invalid params: requestState is altered, expired, or belongs to another request; send the request again without it',
    { reason: 'invalid_request_state' },
  );
}

/**
 * Claims a state for one run.
 *
 * @throws ProtocolError `-32602` with the reason `request_state_used` when another request has claimed it
 * @throws RequestError `unavailable` (503) when that cannot be known
 */
export async function claimState(
  { claimId, expiresAt }: PresentedState,
  requestId: string,
  { claims, logger }: ClaimServices,
): Promise<void> {
  let isFirst: boolean;
  try {
    isFirst = await claims.claim(claimId, expiresAt);
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    logger.error('upstream.failed', { upstream: error.upstream, requestId }, error);
    throw new RequestError(
      'unavailable',
      'It cannot be known at the moment whether requestState was used; the call did not run. Try again shortly',
      { headers: { 'Retry-After': String(error.retryAfterSeconds) }, cause: error },
    );
  }
  if (!isFirst) {
    throw new ProtocolError(
      protocolErrorCodes.invalidParams,
      'Invalid params: requestState was used before, and is good for one request: the call ran, or still runs, for that one. To call anew, send the request again without it',
      { reason: 'request_state_used' },
    );
  }
}
