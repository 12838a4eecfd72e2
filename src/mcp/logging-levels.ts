import type { LoggingLevel } from './protocol-types.ts';

/** Least severe first. RFC 5424, section 6.2.1. */
export const loggingLevels: readonly LoggingLevel[] = [
  'debug',
  'info',
  'notice',
  'warning',
  'error',
  'critical',
  'alert',
  'emergency',
];

const severity = new Map<unknown, number>(loggingLevels.map((level, index) => [level, index]));

/** Whether a value names a level. */
export function isLoggingLevel(value: unknown): value is LoggingLevel {
  return severity.has(value);
}

/** Whether a message at `level` goes to a client that wants `wanted` and above; `undefined` wants none. */
export function isLogged(level: LoggingLevel, wanted: LoggingLevel | undefined): boolean {
  return wanted !== undefined && (severity.get(level) ?? 0) >= (severity.get(wanted) ?? 0);
}
