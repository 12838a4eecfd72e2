import { type DestinationStream, pino, type Logger as PinoLogger } from 'pino';
import { redactFields, redactText } from './redact.ts';
import { createStderrDestination } from './stderr-destination.ts';

/** Facts of one event. Names in camelCase, units at the end of the name. */
export type LogFields = Readonly<Record<string, unknown>>;

/** From the least severe to none at all. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/**
 * The log: one event name, `<thing>.<what_happened>`, and fields. Credentials, bodies and tool arguments are cut out
 * by name and by shape, but are not to be passed in at all.
 */
export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  /** @param error told with its code and its chain of causes */
  error(event: string, fields?: LogFields, error?: unknown): void;
  /** A logger whose every line also has these fields. */
  child(fields: LogFields): Logger;
  /** Whether a line at this level would be written, to spare the making of its fields. */
  isEnabled(level: Exclude<LogLevel, 'silent'>): boolean;
  /** Resolves when everything logged so far was handed to the system. Never rejects. */
  flush(): Promise<void>;
}

/** Where lines go. */
export interface LogDestination {
  /** @param line JSON with its line break */
  write(line: string): void;
  flush?(): Promise<void>;
}

/** What `createLogger` needs. */
export interface LoggerOptions {
  readonly level: LogLevel;
  /** Default: stderr, in batches of at most 100 ms; stdout belongs to the stdio transport. */
  readonly destination?: LogDestination;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

const maxCauses = 5;

/** A logger at the top; hand `child` loggers down. It holds no resource but a timer that does not keep the process. */
export function createLogger(options: LoggerOptions): Logger {
  const destination = options.destination ?? createStderrDestination();
  const root = pino(
    {
      level: options.level,
      base: null,
      messageKey: 'event',
      timestamp: createTimestamp(options.now ?? Date.now),
      formatters: { level: (label) => ({ level: label }) },
    },
    destination satisfies DestinationStream,
  );
  return toLogger(root, destination);
}

function toLogger(target: PinoLogger, destination: LogDestination): Logger {
  return {
    debug: (event, fields) => {
      if (target.isLevelEnabled('debug')) target.debug(redactFields(fields ?? {}), event);
    },
    info: (event, fields) => {
      if (target.isLevelEnabled('info')) target.info(redactFields(fields ?? {}), event);
    },
    warn: (event, fields) => target.warn(redactFields(fields ?? {}), event),
    error: (event, fields, error) => {
      const shown = redactFields(fields ?? {});
      target.error(error === undefined ? shown : { ...shown, error: describeError(error) }, event);
    },
    child: (fields) => toLogger(target.child(redactFields(fields)), destination),
    isEnabled: (level) => target.isLevelEnabled(level),
    flush: async () => destination.flush?.(),
  };
}

/** An error as fields: name, code, message, detail, stack, and the chain of causes, with credentials cut out. */
function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return redactFields({ value: error });
  const { name, message, stack, cause } = error;
  const code: unknown = 'code' in error ? error.code : undefined;
  const detail: unknown = 'detail' in error ? error.detail : undefined;
  return {
    name,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    message: redactText(message),
    ...(typeof detail === 'string' ? { detail: redactText(detail) } : {}),
    ...(stack === undefined ? {} : { stack: redactText(stack) }),
    ...(cause === undefined || depth >= maxCauses ? {} : { cause: describeError(cause, depth + 1) }),
  };
}

/** The time in ISO 8601, made once per millisecond. */
function createTimestamp(now: () => number): () => string {
  let lastMs = Number.NaN;
  let last = '';
  return () => {
    const nowMs = now();
    if (nowMs !== lastMs) {
      lastMs = nowMs;
      last = `,"time":"${new Date(nowMs).toISOString()}"`;
    }
    return last;
  };
}
