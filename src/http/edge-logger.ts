import type { LogFields } from './messages.ts';

/** What the edge needs of a `Logger`. Fields hold no token, no body and no raw path. */
export interface EdgeLogger {
  /** Asked before a request's line is put together. */
  isEnabled(level: 'info'): boolean;
  info(event: string, fields: LogFields): void;
  warn(event: string, fields: LogFields): void;
  /** @param error goes to the log whole, with its cause; never to a caller */
  error(event: string, fields: LogFields, error: unknown): void;
}
