import { listSettings } from '../config/load-config.ts';
import { describeExpected } from '../config/parse-setting.ts';
import type { Setting } from '../config/setting.ts';

const textWidth = 92;
const margin = '      ';

/** Every setting, for `mooring start --help`. */
export function renderSettingsHelp(): string {
  const settings = listSettings().map(([, setting]) => {
    const lines = wrap(`${setting.sentence} ${toLimits(setting)}`, textWidth - margin.length);
    return [`  ${setting.variable}`, ...lines.map((line) => margin + line)].join('\n');
  });
  return `
Settings, from the environment, or under their camelCase names from mooring.config.js (.mjs, .ts).
Secrets may also be files, named by <NAME>_FILE.

${settings.join('\n')}`;
}

/** A setting's value when it is not given, in words. */
export function describeDefault(setting: Setting): string {
  if (setting.whenAbsent !== undefined) return setting.whenAbsent;
  return 'default' in setting ? String(setting.default) : 'none';
}

function toLimits(setting: Setting): string {
  const limits = setting.kind === 'integer' ? `${describeExpected(setting)}; ` : '';
  return `(${limits}default: ${describeDefault(setting)})`;
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
