import { ConfigError, RequestError, UpstreamError } from '../errors.ts';
import { redactText } from '../telemetry/redact.ts';
import { CommandFailure } from './command-failure.ts';

const unwritableCodes: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOSPC']);

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
  if (!(error instanceof Error)) return `${String(error)} (LOG_LEVEL=debug shows where)`;
  const { code, path } = error as { readonly code?: unknown; readonly path?: unknown };
  return typeof code === 'string' && typeof path === 'string' && unwritableCodes.has(code)
    ? `${path} cannot be written (${code}). Allow it, or choose another folder with DATA_DIR.`
    : `${error.message} (LOG_LEVEL=debug shows where)`;
}

function renderProblems({ problems }: ConfigError): string {
  const [only] = problems;
  if (problems.length === 1 && only !== undefined) return `${only.setting}: ${only.problem}.`;
  const lines = problems.map(({ setting, problem }) => `  ${setting}: ${problem}`);
  return `${problems.length} settings are wrong.\n\n${lines.join('\n')}\n\nEvery setting is explained by: mooring start --help`;
}

function toStacks(error: Error, depth = 0): string {
  const stack = error.stack ?? error.message;
  return error.cause instanceof Error && depth < 5
    ? `${stack}\ncaused by ${toStacks(error.cause, depth + 1)}`
    : stack;
}
