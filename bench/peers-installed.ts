/** Installs the peers the first time, so that nobody needs to know that they have a folder of their own. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { benchFolder } from './cases.ts';

const installTimeoutMs = 300_000;

/**
 * Runs `npm ci` in the benchmark's folder when it has no packages yet.
 *
 * @returns what went wrong, or `undefined`; the run goes on without peers
 */
export async function installPeers(report: (line: string) => void): Promise<string | undefined> {
  if (existsSync(`${benchFolder}node_modules/.package-lock.json`)) return undefined;
  report('installing the peers (npm ci in bench/, once)');
  return new Promise((resolve) => {
    // Standard output belongs to the report.
    const child = spawn(
      'npm',
      ['ci', '--engine-strict=false', '--no-audit', '--no-fund', '--loglevel=error'],
      {
        cwd: benchFolder,
        stdio: ['ignore', 'ignore', 'pipe'],
        timeout: installTimeoutMs,
      },
    );
    let complaints = '';
    child.stderr.on('data', (chunk: Buffer) => (complaints = (complaints + chunk.toString()).slice(-2000)));
    child.once('error', (error) => resolve(`npm could not be started: ${error.message}`));
    child.once('exit', (code) =>
      resolve(code === 0 ? undefined : `npm ci failed with ${code}: ${complaints.trim()}`),
    );
  });
}
