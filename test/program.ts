/** Programs of the system that tests need: found on the path, else installed where that is allowed, else asked for. */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { userInfo } from 'node:os';
import { promisify } from 'node:util';

const installTimeoutMs = 180_000;
const run = promisify(execFile);

/**
 * @param debianPackage what brings the program, where `apt-get` may be used: as root
 * @returns the program's path
 * @throws Error that says what to install
 */
export async function findProgram(name: string, debianPackage: string): Promise<string> {
  const found = findOnPath(name);
  if (found !== undefined) return found;
  const aptGet = userInfo().uid === 0 ? findOnPath('apt-get') : undefined;
  if (aptGet !== undefined) await install(aptGet, debianPackage);
  const installed = findOnPath(name);
  if (installed !== undefined) return installed;
  throw new Error(
    `${name} is needed for this test and is not on the path: install it (Debian: ${debianPackage})`,
  );
}

function findOnPath(name: string): string | undefined {
  // Daemons are outside of many users' paths.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function install(aptGet: string, debianPackage: string): Promise<void> {
  const options = {
    timeout: installTimeoutMs,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  };
  // Two test files may want it at once: apt-get waits for its turn.
  const wait = ['-o', 'DPkg::Lock::Timeout=120'];
  await run(aptGet, [...wait, 'update'], options);
  await run(aptGet, [...wait, 'install', '-y', '--no-install-recommends', debianPackage], options);
}
