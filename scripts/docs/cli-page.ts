import { PassThrough } from 'node:stream';
import type { Command } from 'commander';
import { createCommandLine } from '../../src/cli/command-line.ts';

const unused = (): never => {
  throw new Error('describing a command must not run it');
};

/** `docs/reference/cli.md`, from what each command says with `--help`. */
export function renderCliPage(): string {
  const program = createCommandLine({
    version: '',
    environment: {},
    workingDir: '',
    print: () => undefined,
    printError: () => undefined,
    createHost: unused,
    openIdentity: unused,
    openTokens: unused,
    rekeySharing: unused,
    input: new PassThrough(),
    output: new PassThrough(),
    signals: { on: unused },
    exit: unused,
  });
  const sections = listCommands(program).map(
    ({ path, command }) => `## ${path}\n\n\`\`\`\n${toHelp(command)}\n\`\`\``,
  );
  return `# Command line

Generated from \`--help\` by \`npm run docs\`. Exit codes: 0 done, 1 failed, 2 called wrongly.

${sections.join('\n\n')}
`;
}

interface ListedCommand {
  readonly path: string;
  readonly command: Command;
}

function listCommands(command: Command, above = ''): readonly ListedCommand[] {
  const path = above === '' ? command.name() : `${above} ${command.name()}`;
  return [{ path, command }, ...command.commands.flatMap((child) => listCommands(child, path))];
}

/** The whole help, its examples included, at a fixed width. The settings have a page of their own. */
function toHelp(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
    getOutHelpWidth: () => 100,
  });
  command.outputHelp();
  const settingsStart = text.indexOf('\nSettings, from the environment');
  return (
    settingsStart === -1 ? text : `${text.slice(0, settingsStart)}\nSettings: see configuration.md.`
  ).trimEnd();
}
