/**
 * Published command-line tools that need a newer Node than this project: installed once per machine, with a Node of
 * their own beside them where this process is too old. Both come from the npm registry with exact versions and
 * without install scripts.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

const nodeVersion = '22.23.3';
const neededNodeMajor = 22;
const installTimeoutMs = 300_000;
const maxOutputChars = 200_000;

/** A tool that can be run. */
export interface NodeTool {
  /** Program and first arguments. */
  readonly command: readonly [node: string, script: string];
  /** For `PATH`: where its Node is. */
  readonly nodeFolder: string;
}

/** What a program wrote, and how it ended. */
export interface Execution {
  readonly code: number | null;
  /** Both streams. */
  readonly output: string;
  readonly out: string;
}

/**
 * Installs a tool unless this machine has it.
 *
 * @param tool.script path of its entry in the package
 * @throws Error when the registry cannot be reached or the installation does not run
 */
export async function prepareNodeTool(tool: {
  readonly packageName: string;
  readonly version: string;
  readonly script: string;
}): Promise<NodeTool> {
  const name = `${tool.packageName.split('/').at(-1)}-${tool.version}-${toNodePackage() ?? 'own-node'}`;
  const folder = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'mooring', name);
  if (!existsSync(folder)) await install(folder, `${tool.packageName}@${tool.version}`);
  const node = toNodeBinary(folder);
  return {
    command: [node, join(folder, 'node_modules', tool.packageName, tool.script)],
    nodeFolder: dirname(node),
  };
}

/** Runs to the end, or kills it when the time is over. */
export function execute(
  command: readonly string[],
  timeoutMs: number,
  options: {
    readonly cwd?: string;
    readonly env?: NodeJS.ProcessEnv;
    /** Told all that it has written to its standard output, whenever that is more. */
    readonly onOutput?: (out: string) => void;
  } = {},
): Promise<Execution> {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd ?? tmpdir(),
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    let output = '';
    let out = '';
    const keep = (chunk: string): void => {
      output = `${output}${chunk}`.slice(-maxOutputChars);
    };
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      out = `${out}${chunk}`.slice(-maxOutputChars);
      keep(chunk);
      options.onOutput?.(out);
    });
    child.stderr.setEncoding('utf8').on('data', keep);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const end = signal === null ? '' : `\n(stopped by ${signal} after at most ${timeoutMs} ms)`;
      resolve({ code, output: output + end, out });
    });
  });
}

/** Installs beside the final place and moves it there whole, so that an interrupted run leaves nothing half done. */
async function install(folder: string, packageSpec: string): Promise<void> {
  mkdirSync(dirname(folder), { recursive: true });
  const staging = mkdtempSync(join(dirname(folder), `.${basename(folder)}-`));
  try {
    const nodePackage = toNodePackage();
    const packages = [packageSpec];
    if (nodePackage !== undefined) packages.push(`${nodePackage}@${nodeVersion}`);
    const flags = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--engine-strict=false'];
    // npm tells its children where it is; outside of npm the one on the path has to do.
    const npm =
      process.env['npm_execpath'] === undefined ? ['npm'] : [process.execPath, process.env['npm_execpath']];
    const command = [...npm, 'install', '--prefix', staging, ...flags, ...packages];
    const { code, output } = await execute(command, installTimeoutMs, { cwd: staging });
    if (code !== 0) throw new Error(`Could not install ${packages.join(' and ')}:\n${output}`);
    moveUnlessThere(staging, folder);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

function moveUnlessThere(staging: string, folder: string): void {
  try {
    renameSync(staging, folder);
  } catch (error) {
    // Another run was faster; its copy is as good.
    if (!existsSync(folder)) throw error;
  }
}

/** The package that holds nothing but a Node binary for this machine; `undefined` when this process is new enough. */
function toNodePackage(): string | undefined {
  if (Number.parseInt(process.versions.node, 10) >= neededNodeMajor) return undefined;
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const prefix = platform === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node';
  return `${prefix}-${platform}-${process.arch}`;
}

function toNodeBinary(folder: string): string {
  const name = toNodePackage();
  if (name === undefined) return process.execPath;
  return join(folder, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
}
