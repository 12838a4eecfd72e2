import { describeDefault } from '../../src/cli/settings-help.ts';
import { describeExpected } from '../../src/config/parse-setting.ts';
import type { Setting } from '../../src/config/setting.ts';
import { settings } from '../../src/config/settings.ts';

const titles: Readonly<Record<keyof typeof settings, string>> = {
  server: 'The server',
  storage: 'Where data is kept',
  credentials: 'Credentials',
  signIn: 'Signing in',
  upstream: 'Signing in at another provider',
  tokens: 'Tokens of others, and revocation',
  edge: 'The edge',
  sessions: 'Sessions (2025 revisions)',
  streams: 'Streams',
  calls: 'Calls',
  log: 'The log',
};

/** `docs/reference/configuration.md`, from the table of settings. */
export function renderConfigurationPage(): string {
  const sections = Object.entries(settings).map(([group, rows]) => {
    const items = Object.entries<Setting>(rows).map(([name, setting]) => renderSetting(name, setting));
    return `## ${titles[group as keyof typeof settings]}\n\n${items.join('\n\n')}`;
  });
  return `# Configuration

Generated from the table of settings by \`npm run docs\`; change it there.

A setting comes from the command line (where a flag is named), else from the environment, else from
\`mooring.config.js\` (\`.mjs\`, or \`.ts\` with Node.js 22.18 or later) in the working directory, else from its default:

\`\`\`js
// mooring.config.js
export default { port: 3000, publicUrl: 'https://mcp.example.com' };
\`\`\`

An empty variable counts as absent. A secret may also be a file: \`<NAME>_FILE\` names it, and the line break at its end
does not count. Everything is checked before anything listens, and every problem is listed at once. Nothing is read
again after the start.

${sections.join('\n\n')}
`;
}

function renderSetting(name: string, setting: Setting): string {
  const facts = [
    `In \`mooring.config\`: \`${name}\``,
    `expects ${describeExpected(setting)}`,
    `default: ${toCode(setting, describeDefault(setting))}`,
    ...(setting.secret ? [`secret, also as \`${setting.variable}_FILE\``] : []),
  ];
  return `### \`${setting.variable}\`\n\n${setting.sentence}\n\n${facts.join('; ')}.`;
}

function toCode(setting: Setting, text: string): string {
  return setting.whenAbsent === undefined ? `\`${text}\`` : text;
}
