import { readEnvironment, readWorkingDir } from './env.ts';
import { loadConfig } from './load-config.ts';
import type { ParsedConfig } from './parse-config.ts';

/**
 * The configuration of this process: its environment and the `mooring.config` of its working folder.
 *
 * @throws ConfigError with every problem at once
 */
export function loadOwnConfig(): Promise<ParsedConfig> {
  return loadConfig({ environment: readEnvironment(), workingDir: readWorkingDir() });
}
