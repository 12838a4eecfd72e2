/** Installs the peers where they are missing or others than wanted, so that nobody needs to know of their folder. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { benchFolder } from './cases.ts';

const installTimeoutMs = 300_000;

/**
 * Runs `npm ci` in the benchmark's folder unless it has the packages that its package file names.
 *
 * @returns what went wrong, or `undefined`; the run goes on without peers
 */
export async function installPeers(report: (line: string) => void): Promise<string | undefined> {
  if (areInstalled()) return undefined;
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

function areInstalled(): boolean {
  const { dependencies } = readManifest('') as { readonly dependencies: Readonly<Record<string, string>> };
  return Object.entries(dependencies).every(
    ([name, version]) => readManifest(`node_modules/${name}/`)?.version === version,
  );
}

function readManifest(folder: string): { readonly version?: string } | undefined {
  try {
    return JSON.parse(readFileSync(`${benchFolder}${folder}package.json`, 'utf8')) as { version?: string };
  } catch {
    return undefined;
  }
}
