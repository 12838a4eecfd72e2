import type { HttpExchange } from './http-exchange.ts';
import type { FullReply } from './messages.ts';

/**
 * One step that every request passes. Answers without a promise when it can.
 *
 * @returns a reply to end the request with, or nothing to go on
 * @throws RequestError to refuse it
 */
export type Stage = (exchange: HttpExchange) => FullReply | undefined | Promise<undefined>;
