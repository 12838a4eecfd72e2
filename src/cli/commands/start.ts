import { relative } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { Command } from 'commander';
import type { Environment } from '../../config/env.ts';
import { loadConfig } from '../../config/load-config.ts';
import type { RawSetting } from '../../config/parse-config.ts';
import { toUpstreamName } from '../../config/upstream-name.ts';
import type { Host, HostOptions } from '../../host.ts';
import { createLogger, type Logger } from '../../telemetry/logger.ts';
import { CommandFailure } from '../command-failure.ts';
import { renderFirstRun, renderLaterRun } from '../first-run-text.ts';
import { loadServerModule } from '../load-server-module.ts';
import { prepareDataFolder } from '../prepare-data-folder.ts';
import { renderSettingsHelp } from '../settings-help.ts';
import { closeWithin, type SignalSource, stopOnSignals } from '../stop-on-signals.ts';

/** What `mooring start` needs of its surroundings. */
export interface StartDeps {
  readonly environment: Environment;
  readonly workingDir: string;
  /** Text for the person, on stdout. */
  readonly print: (text: string) => void;
  readonly createHost: (options: HostOptions) => Promise<StartedHost>;
  /** Standard input and output, for the stdio transport. */
  readonly input: Readable;
  readonly output: Writable;
  readonly signals: SignalSource & UncaughtSource;
  /** Ends the process at once. */
  readonly exit: (code: number) => void;
}

/** What this command asks of a host. */
export type StartedHost = Pick<Host, 'listen' | 'serveStdio' | 'close'> & {
  readonly firstRun: { readonly tenant: { readonly name: string }; readonly secret: string } | undefined;
  readonly firstUser: { readonly user: { readonly subject: string }; readonly password: string } | undefined;
};

/** Where Node.js tells of errors that nobody handled. */
export interface UncaughtSource {
  on(event: 'unhandledRejection' | 'uncaughtException', listener: (error: unknown) => void): unknown;
}

interface StartFlags {
  readonly stdio?: true;
  readonly port?: string;
  readonly host?: string;
  readonly auth?: string;
}

// What closing may take beyond the grace period itself: the last writes and the closing of files.
const closeMarginMs = 2000;

/** Adds `mooring start <module>`. */
export function addStartCommand(program: Command, deps: StartDeps): void {
  program
    .command('start')
    .summary('serve a module over HTTP or stdio')
    .description('Serves the MCP server that a module exports, with everything around it.')
    .argument('<module>', 'a file, or a folder with a package.json, that exports a server')
    .option('--stdio', 'serve one client over standard input and output, as MCP_TRANSPORT=stdio does')
    .option('--port <number>', 'the port to listen on, as PORT')
    .option('--host <address>', 'the address to listen on, as HOST')
    .option('--auth <how>', 'how clients get in: keys or oauth, as AUTH')
    .addHelpText(
      'after',
      `
Examples:
  $ mooring start ./server.js
  $ mooring start servers/notes --port 3000
  $ mooring start ./server.js --stdio
  $ mooring start ./server.js --auth oauth
  $ HOST=0.0.0.0 PUBLIC_URL=https://mcp.example.com mooring start ./server.js
${renderSettingsHelp()}`,
    )
    .action((module: string, flags: StartFlags) => start(module, flags, deps));
}

async function start(module: string, flags: StartFlags, deps: StartDeps): Promise<void> {
  const { config, secrets } = await loadConfig({
    environment: deps.environment,
    workingDir: deps.workingDir,
    flags: toRawSettings(flags),
  });
  const { dataDir } = config.storage;
  prepareDataFolder(dataDir);
  const logger = createLogger({ level: config.log.logLevel });
  watchUncaught(deps, logger);
  const hosted = await loadServerModule(module, { workingDir: deps.workingDir, dataDir });
  const host = await deps.createHost({ server: hosted.server, config, secrets, logger });
  const limitMs = config.server.shutdownDelayMs + config.server.shutdownGraceMs + closeMarginMs;
  try {
    if (config.server.transport === 'stdio') {
      await Promise.race([
        host.serveStdio(deps.input, deps.output),
        waitForStop(host, limitMs, logger, deps),
      ]);
      await closeWithin(() => host.close(), limitMs);
      return;
    }
    const stopped = waitForStop(host, limitMs, logger, deps);
    const { url } = await host.listen();
    const providerName = toUpstreamName(config);
    const { upstreamJoinTenant } = config.upstream;
    const running = {
      name: hosted.name,
      url,
      dataDir: toShown(deps.workingDir, dataDir),
      ...(providerName !== undefined && { providerName }),
      ...(upstreamJoinTenant !== '' && { joinedTenant: upstreamJoinTenant }),
    };
    const { firstRun, firstUser } = host;
    const account = firstUser && { name: firstUser.user.subject, password: firstUser.password };
    deps.print(
      firstRun === undefined
        ? renderLaterRun(running, account)
        : renderFirstRun(running, { tenantName: firstRun.tenant.name, secret: firstRun.secret }, account),
    );
    await stopped;
  } catch (error) {
    await closeWithin(() => host.close(), limitMs);
    throw error;
  } finally {
    await logger.flush();
  }
}

async function waitForStop(
  host: StartedHost,
  limitMs: number,
  logger: Logger,
  deps: StartDeps,
): Promise<void> {
  const stopped = await stopOnSignals({
    signals: deps.signals,
    exit: deps.exit,
    close: () => host.close(),
    limitMs,
  });
  if (stopped === 'closed') return;
  logger.warn('host.stopped_late', { limitMs });
  await logger.flush();
  throw new CommandFailure(`Requests in flight were cut after ${limitMs} ms (SHUTDOWN_GRACE_MS).`);
}

/**
 * A rejection that nobody handled is most often one call of one caller gone wrong: it is logged, and the others go
 * on. After an exception that nobody caught nothing is known of the process: it ends.
 */
function watchUncaught({ signals, exit }: StartDeps, logger: Logger): void {
  signals.on('unhandledRejection', (error) => logger.error('process.unhandled_rejection', {}, error));
  signals.on('uncaughtException', (error) => {
    logger.error('process.uncaught_exception', {}, error);
    void logger.flush().then(() => exit(1));
  });
}

function toRawSettings(flags: StartFlags): ReadonlyMap<string, RawSetting> {
  const raw = new Map<string, RawSetting>();
  if (flags.stdio) raw.set('transport', { from: '--stdio', value: 'stdio' });
  if (flags.port !== undefined) raw.set('port', { from: '--port', value: flags.port });
  if (flags.host !== undefined) raw.set('host', { from: '--host', value: flags.host });
  if (flags.auth !== undefined) raw.set('auth', { from: '--auth', value: flags.auth });
  return raw;
}

function toShown(workingDir: string, path: string): string {
  const fromHere = relative(workingDir, path);
  return fromHere === '' || fromHere.startsWith('..') ? path : fromHere;
}
