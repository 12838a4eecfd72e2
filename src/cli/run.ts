import { readFileSync } from 'node:fs';
import { readEnvironment } from '../config/env.ts';
import { runCommandLine } from './command-line.ts';

/** Runs the command that this process was started with, then ends the process with its exit code. */
export async function run(): Promise<void> {
  const code = await runCommandLine(process.argv.slice(2), {
    version: readVersion(),
    environment: readEnvironment(),
    workingDir: process.cwd(),
    print: (text) => process.stdout.write(text),
    printError: (text) => process.stderr.write(text),
    input: process.stdin,
    output: process.stdout,
    signals: process,
    exit: (exitCode) => process.exit(exitCode),
    createHost: async (options) => {
      // Loaded only by the commands that serve: it brings the drivers with it.
      const { createHost } = await import('../host.ts');
      return createHost(options);
    },
    openIdentity: async (config, secrets) => {
      const { openIdentity } = await import('../identity.ts');
      return openIdentity(config, secrets);
    },
    openTokens: async (config, secrets) => {
      const { openTokenUpkeep } = await import('../token-upkeep.ts');
      return openTokenUpkeep(config, secrets);
    },
    rekeySharing: async (options) => {
      const { rekeySharing } = await import('../sharing.ts');
      return rekeySharing(options);
    },
  });
  // A hosted module may have left timers or sockets behind; the command is over all the same.
  process.stdout.write('', () => process.exit(code));
}

function readVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    readonly version: string;
  };
  return manifest.version;
}
