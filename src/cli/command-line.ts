import { Command, CommanderError } from 'commander';
import type { Config, Secrets } from '../config/config.ts';
import { loadConfig } from '../config/load-config.ts';
import type { RekeyProgress, RekeySummary } from '../redis/rekey-sessions.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';
import { addClientsCommand, type OpenedClients } from './commands/clients.ts';
import { addKeysCommand, type OpenedKeys } from './commands/keys.ts';
import { addSessionsCommand } from './commands/sessions.ts';
import { addStartCommand, type StartDeps } from './commands/start.ts';
import { addTenantsCommand } from './commands/tenants.ts';
import { addTokensCommand, type OpenedTokens } from './commands/tokens.ts';
import { addUsersCommand, type OpenedUsers } from './commands/users.ts';
import { prepareDataFolder } from './prepare-data-folder.ts';
import { renderFailure } from './render-failure.ts';

/** What the command line needs of its surroundings. */
export interface CommandLineDeps extends StartDeps {
  readonly version: string;
  /** Text about failures and usage, on stderr. */
  readonly printError: (text: string) => void;
  /** Opens the tenants, keys, users and clients that a configuration names. */
  readonly openIdentity: (
    config: Config,
    secrets: Secrets,
  ) => Promise<OpenedKeys & OpenedUsers & OpenedClients>;
  /** Opens the tokens of the host that a configuration names. */
  readonly openTokens: (config: Config, secrets: Secrets) => Promise<OpenedTokens>;
  /** See `rekeySharing`. */
  readonly rekeySharing: (options: RekeyRequest) => Promise<RekeySummary | undefined>;
}

/** What a rekey works with. */
export interface RekeyRequest {
  readonly secrets: Secrets;
  readonly logger: Logger;
  readonly onProgress: (progress: RekeyProgress) => void;
}

const usageExitCode = 2;
const failureExitCode = 1;

/** Every command, described but not run. */
export function createCommandLine(deps: CommandLineDeps): Command {
  const program = new Command('mooring')
    .description('The production host for Model Context Protocol servers.')
    .version(deps.version, '--version', 'print the version')
    .helpOption('-h, --help', 'explain a command')
    .configureOutput({ writeOut: deps.print, writeErr: deps.printError })
    .showHelpAfterError('(--help explains it)')
    .exitOverride()
    .addHelpText(
      'after',
      `
Examples:
  $ mooring start servers/notes
  $ mooring start ./server.js --stdio
  $ mooring keys create --name laptop
  $ mooring start --help`,
    );
  addStartCommand(program, deps);
  const identityDeps = { openKeys: () => openKeys(deps), write: (line: string) => deps.print(`${line}\n`) };
  addKeysCommand(program, identityDeps);
  addTenantsCommand(program, identityDeps);
  addUsersCommand(program, {
    openUsers: identityDeps.openKeys,
    input: deps.input,
    write: identityDeps.write,
  });
  addClientsCommand(program, { openClients: identityDeps.openKeys, write: identityDeps.write });
  addTokensCommand(program, {
    openTokens: async () => {
      const { config, secrets } = await loadConfig(deps);
      prepareDataFolder(config.storage.dataDir);
      return deps.openTokens(config, secrets);
    },
    write: identityDeps.write,
  });
  addSessionsCommand(program, {
    rekey: (onProgress) => rekey(deps, onProgress),
    write: identityDeps.write,
    writeProgress: (line) => deps.printError(`${line}\n`),
  });
  return program;
}

/**
 * Runs one command to its end.
 *
 * @param args without the runtime and the script
 * @returns the exit code: 0, 1 when the command failed, 2 when it was called wrongly
 */
export async function runCommandLine(args: readonly string[], deps: CommandLineDeps): Promise<number> {
  try {
    await createCommandLine(deps).parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has already printed what was wrong, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageExitCode;
    const withStack = ['debug', 'trace'].includes(deps.environment['LOG_LEVEL'] ?? '');
    deps.printError(renderFailure(error, { withStack }));
    return failureExitCode;
  }
}

async function openKeys(deps: CommandLineDeps): Promise<OpenedKeys & OpenedUsers & OpenedClients> {
  const { config, secrets } = await loadConfig(deps);
  prepareDataFolder(config.storage.dataDir);
  return deps.openIdentity(config, secrets);
}

async function rekey(
  deps: CommandLineDeps,
  onProgress: (progress: RekeyProgress) => void,
): Promise<RekeySummary | undefined> {
  const { config, secrets } = await loadConfig(deps);
  const logger = createLogger({ level: config.log.logLevel });
  try {
    return await deps.rekeySharing({ secrets, logger, onProgress });
  } finally {
    await logger.flush();
  }
}
