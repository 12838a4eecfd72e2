import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import type { Exchange } from './dispatch-target.ts';
import { HandlerFailure } from './handler-failure.ts';
import { isRecord } from './json-rpc.ts';
import type { ParseOutcome } from './schema.ts';

/**
 * The `arguments` of a call; none is the same as an empty object.
 *
 * @throws ProtocolError `-32602` when they are anything but an object
 */
export function argumentsOf(params: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const input = params['arguments'] ?? {};
  if (isRecord(input)) return input;
  throw new ProtocolError(protocolErrorCodes.invalidParams, 'Invalid params: arguments must be an object');
}

/** What is wrong with a call's arguments, in words for the caller. A schema that threw is the operator's to know. */
export function describeInvalid(
  outcome: Extract<ParseOutcome, { readonly isValid: false }>,
  name: string,
  exchange: Exchange,
): string {
  if (outcome.cause !== undefined) {
    exchange.report(new HandlerFailure(`schema of ${name}`, outcome.cause, { isProvoked: true }));
  }
  return `Invalid arguments for ${name}: ${outcome.problem}`;
}
