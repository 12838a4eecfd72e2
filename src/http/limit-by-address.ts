/**
 * Limits on endpoints that anybody may ask, by where a request comes from. A request whose address is not known is not
 * limited. The address is taken down before anything is waited for, so that leaving early evades nothing.
 */
import { RequestError } from '../errors.ts';
import { toNetwork } from '../lib/ip-address.ts';
import type { Limit, Limits, LimitSubject } from '../policy/limits.ts';
import type { HttpReply, HttpRequest } from './messages.ts';
import type { RouteHandler } from './routes.ts';

/** What every limit by address is made with. */
export interface AddressLimitOptions {
  readonly limits: Limits;
  /** What is limited: limits of one name share what they count, where their numbers are the same. */
  readonly what: string;
  readonly limit: Limit;
  /** Answers what is one too many. May throw instead. */
  readonly refuse: (retryAfterSeconds: number) => HttpReply;
}

/** What the log says of a request that was refused. */
export const limitedDetail = 'limited by address';

/** What an attempt is. */
export interface AttemptLimitOptions extends AddressLimitOptions {
  /** Default: every request. */
  readonly isAttempt?: (request: HttpRequest) => boolean;
}

/** What a failure is. */
export interface FailureLimitOptions extends AddressLimitOptions {
  /** Beside what is thrown with 401, which always is one. */
  readonly isFailure: (request: HttpRequest, reply: HttpReply) => boolean;
}

/**
 * Failures that one address may have where tokens are given, over all such endpoints together. Generous: whole companies
 * and clients that run elsewhere share an address, and their tokens end without anybody's fault.
 */
export const tokenFailures: Pick<AddressLimitOptions, 'what' | 'limit'> = {
  what: 'token-failure-address',
  limit: { capacity: 600, windowMs: 300_000 },
};

/** Counts each attempt before it is made. @throws UpstreamError when it cannot be counted */
export function limitAttempts(handler: RouteHandler, options: AttemptLimitOptions): RouteHandler {
  const { limits, limit, isAttempt = () => true } = options;
  return async (request) => {
    const subject = toSubject(options.what, request);
    if (subject === undefined || !isAttempt(request)) return handler(request);
    const { isAllowed, retryAfterMs } = await limits.take(subject, limit);
    return isAllowed ? handler(request) : options.refuse(toSeconds(retryAfterMs));
  };
}

/**
 * Counts what failed, and refuses everything once that was too much; what succeeds never counts.
 *
 * @throws UpstreamError when it cannot be counted
 */
export function limitFailures(handler: RouteHandler, options: FailureLimitOptions): RouteHandler {
  const { limits, limit, isFailure } = options;
  return async (request) => {
    const subject = toSubject(options.what, request);
    if (subject === undefined) return handler(request);
    const { isAllowed, retryAfterMs } = await limits.look(subject, limit);
    if (!isAllowed) return options.refuse(toSeconds(retryAfterMs));
    try {
      const reply = await handler(request);
      if (isFailure(request, reply)) await limits.take(subject, limit);
      return reply;
    } catch (error) {
      if (error instanceof RequestError && error.status === 401) await limits.take(subject, limit);
      throw error;
    }
  };
}

function toSubject(what: string, { clientAddress }: HttpRequest): LimitSubject | undefined {
  return clientAddress === undefined ? undefined : [what, toNetwork(clientAddress)];
}

function toSeconds(retryAfterMs: number): number {
  return Math.ceil(retryAfterMs / 1000);
}
