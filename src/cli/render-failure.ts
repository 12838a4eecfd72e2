import { ConfigError, RequestError, UpstreamError } from '../errors.ts';
import { redactText } from '../telemetry/redact.ts';
import { CommandFailure } from './command-failure.ts';

/** Why a command failed, for a person: one sentence, or a list for a configuration. Ends with a line break. */
export function renderFailure(error: unknown, options: { readonly withStack?: boolean } = {}): string {
  const text = `mooring: ${redactText(toSentence(error))}\n`;
  if (!options.withStack || !(error instanceof Error)) return text;
  return `${text}\n${redactText(toStacks(error))}\n`;
}

function toSentence(error: unknown): string {
  if (error instanceof ConfigError) return renderProblems(error);
  if (error instanceof UpstreamError) return `${error.upstream} failed: ${error.message}`;
  if (error instanceof CommandFailure || error instanceof RequestError) return error.message;
  const { code, message, path } = toSystemError(error);
  switch (code) {
    case 'EADDRINUSE':
      return `Another process already listens on ${toAddress(error)}. Stop it, or choose another port with --port or PORT.`;
    case 'EADDRNOTAVAIL':
      return `${toAddress(error)} is not an address of this machine. Choose another with --host or HOST.`;
    case 'ENOTFOUND':
      return `The host name could not be found (${message}). Choose another address with --host or HOST.`;
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return path === undefined
        ? `Not allowed to listen on ${toAddress(error)}. Ports below 1024 need privileges: choose another with --port.`
        : `${path} cannot be written (${code}). Allow it, or choose another folder with DATA_DIR.`;
    default:
      return `${message} (LOG_LEVEL=debug shows where)`;
  }
}

function renderProblems({ problems }: ConfigError): string {
  const lines = problems.map(({ setting, problem }) => `  ${setting}: ${problem}`);
  const heading = problems.length === 1 ? 'one setting is wrong.' : `${problems.length} settings are wrong.`;
  return `${heading}\n\n${lines.join('\n')}\n\nEvery setting is explained by: mooring start --help`;
}

function toSystemError(error: unknown): {
  code: string | undefined;
  message: string;
  path: string | undefined;
} {
  if (!(error instanceof Error)) return { code: undefined, message: String(error), path: undefined };
  const { code, path } = error as { readonly code?: unknown; readonly path?: unknown };
  return {
    code: typeof code === 'string' ? code : undefined,
    message: error.message,
    path: typeof path === 'string' ? path : undefined,
  };
}

function toAddress(error: unknown): string {
  const { address, port } = error as { readonly address?: unknown; readonly port?: unknown };
  const host = typeof address === 'string' ? address : 'this address';
  return typeof port === 'number' ? `${host}:${port}` : host;
}

function toStacks(error: Error, depth = 0): string {
  const stack = error.stack ?? error.message;
  return error.cause instanceof Error && depth < 5
    ? `${stack}\ncaused by ${toStacks(error.cause, depth + 1)}`
    : stack;
}
