import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ConfigProblem } from '../errors.ts';
import type { Environment } from './env.ts';
import { importModule, ModuleUnsupported } from './import-module.ts';
import { type ParsedConfig, parseConfig, type RawSetting } from './parse-config.ts';
import type { Setting } from './setting.ts';
import { settings } from './settings.ts';

/** Where a configuration comes from. */
export interface LoadConfigOptions {
  readonly environment: Environment;
  /** Holds `mooring.config.*`, and is what relative paths start from. */
  readonly workingDir: string;
  /** From the command line, by the name in the table: these win over the environment. */
  readonly flags?: ReadonlyMap<string, RawSetting>;
  readonly randomBytes?: (size: number) => Uint8Array;
}

const fileNames = ['mooring.config.ts', 'mooring.config.mjs', 'mooring.config.js'];
const maxSecretFileBytes = 65_536;

/**
 * Gathers the settings (flags, then the environment, then `mooring.config`, then defaults) and checks them.
 *
 * An empty string counts as absent.
 *
 * @throws ConfigError with every problem at once
 */
export async function loadConfig(options: LoadConfigOptions): Promise<ParsedConfig> {
  const problems: ConfigProblem[] = [];
  const raw = new Map<string, RawSetting>();
  for (const [name, given] of await readConfigFile(options.workingDir, problems)) raw.set(name, given);
  for (const [name, setting] of listSettings()) {
    const given = options.flags?.get(name) ?? readVariable(setting, options.environment, options.workingDir);
    if (given !== undefined) raw.set(name, given);
  }
  return parseConfig({
    raw,
    problems,
    workingDir: options.workingDir,
    randomBytes: options.randomBytes ?? randomBytes,
  });
}

/** Every setting with its name, in the table's order. */
export function listSettings(): readonly (readonly [string, Setting])[] {
  return Object.values(settings).flatMap((rows) => Object.entries<Setting>(rows));
}

function readVariable(
  setting: Setting,
  environment: Environment,
  workingDir: string,
): RawSetting | undefined {
  const { variable } = setting;
  const value = environment[variable] || undefined;
  const path = setting.secret ? environment[`${variable}_FILE`] || undefined : undefined;
  if (path === undefined) return value === undefined ? undefined : { from: variable, value };
  if (value === undefined) return readSecretFile(`${variable}_FILE`, resolve(workingDir, path));
  return { from: variable, problem: `set both as ${variable} and as ${variable}_FILE: keep one` };
}

function readSecretFile(from: string, path: string): RawSetting {
  try {
    if (statSync(path).size > maxSecretFileBytes)
      return { from, problem: `${path} is too large for a secret` };
    const value = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    return value === '' ? { from, problem: `${path} is empty` } : { from, value };
  } catch (error) {
    return { from, problem: `cannot read ${JSON.stringify(path)} (${toCode(error)})` };
  }
}

async function readConfigFile(
  workingDir: string,
  problems: ConfigProblem[],
): Promise<ReadonlyMap<string, RawSetting>> {
  const found = fileNames.filter((name) => existsSync(join(workingDir, name)));
  const [fileName] = found;
  if (fileName === undefined) return new Map();
  if (found.length > 1) {
    problems.push({
      setting: fileName,
      problem: `found together with ${found.slice(1).join(' and ')}: keep one`,
    });
    return new Map();
  }
  const exported = await importConfigFile(join(workingDir, fileName), fileName, problems);
  if (exported === undefined) return new Map();
  if (typeof exported !== 'object' || exported === null || Array.isArray(exported)) {
    problems.push({ setting: fileName, problem: 'must export an object of settings as its default' });
    return new Map();
  }
  return toRawSettings(exported, fileName, problems);
}

async function importConfigFile(path: string, fileName: string, problems: ConfigProblem[]): Promise<unknown> {
  try {
    const loaded = await importModule(path);
    return loaded['default'] ?? null;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    problems.push({
      setting: fileName,
      problem: error instanceof ModuleUnsupported ? reason : `cannot be loaded: ${reason}`,
    });
    return undefined;
  }
}

function toRawSettings(
  exported: object,
  fileName: string,
  problems: ConfigProblem[],
): Map<string, RawSetting> {
  const known = new Map(listSettings());
  const raw = new Map<string, RawSetting>();
  for (const [name, value] of Object.entries(exported)) {
    const from = `${name} in ${fileName}`;
    if (!known.has(name)) problems.push({ setting: from, problem: 'is not a setting' });
    else if (value !== undefined && value !== '') raw.set(name, { from, value });
  }
  return raw;
}

function toCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
}
