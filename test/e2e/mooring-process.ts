/** Runs the built package as its users do: `node dist/cli/main.js ...`, a process with data of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const startTimeoutMs = 30_000;
const exitTimeoutMs = 20_000;
const maxOutputChars = 200_000;

/** The root of the repository, where people run the commands. */
export const repositoryRoot: string = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** The command line as it is published. */
export const commandLine: string = join(repositoryRoot, 'dist/cli/main.js');
/** What most tests serve. */
export const notesModule = 'servers/notes';
/** A server with calls that wait and speak; see the file. */
export const workbenchModule = 'test/e2e/fixtures/workbench.mjs';

/** What a process wrote, and how it ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly error: string;
}

/** How to start a server. */
export interface StartOptions {
  /** Default: the notes server. */
  readonly module?: string;
  /** Default: a new folder, removed with `dispose`. */
  readonly dataDir?: string;
  /** Settings beyond the port (any free one) and the data folder. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A server that listens. */
export interface MooringProcess {
  /** Of the MCP endpoint, as printed. */
  readonly url: string;
  readonly origin: string;
  /** As printed by a first run; empty when it was not one. */
  readonly key: string;
  readonly dataDir: string;
  readonly pid: number;
  readonly exited: Promise<Ending>;
  /** What it wrote so far. */
  read(): { readonly out: string; readonly error: string };
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, then the end; SIGKILL when it does not come. */
  stop(): Promise<Ending>;
  /** `stop`, then removes a data folder that was made for it. */
  dispose(): Promise<void>;
}

/**
 * Starts a server on a free port.
 *
 * @throws Error with what it printed when it does not come up
 */
export async function startMooring(options: StartOptions = {}): Promise<MooringProcess> {
  const dataDir = options.dataDir ?? createFolder();
  const child = spawnMooring(['start', options.module ?? notesModule], {
    PORT: '0',
    DATA_DIR: dataDir,
    ...options.environment,
  });
  const ran = watch(child);
  const url = await waitForText(ran, /running at (\S+)[^]*Stop with Ctrl\+C/);
  const stop = async (): Promise<Ending> => {
    child.kill('SIGTERM');
    return endWithin(child, ran.exited);
  };
  if (url === undefined) {
    const { out, error } = await stop();
    throw new Error(`mooring start did not come up:\n${out}\n${error}`);
  }
  return {
    url,
    origin: new URL(url).origin,
    key: findKey(ran.read().out) ?? '',
    dataDir,
    pid: child.pid ?? 0,
    exited: ran.exited,
    read: ran.read,
    signal: (signal) => child.kill(signal),
    stop,
    dispose: async () => {
      await stop();
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Runs a command that ends by itself. */
export function runMooring(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ending> {
  const child = spawnMooring(args, environment);
  return endWithin(child, watch(child).exited);
}

/** What a client needs to start the server itself, over stdio. */
export function toStdioCommand(options: { readonly module?: string; readonly dataDir: string }): {
  command: string;
  args: string[];
  env: Record<string, string>;
  cwd: string;
} {
  return {
    command: process.execPath,
    args: [commandLine, 'start', options.module ?? notesModule, '--stdio'],
    env: toEnvironment({ DATA_DIR: options.dataDir, LOG_LEVEL: 'warn' }),
    cwd: repositoryRoot,
  };
}

/** A new empty folder under the system's temporary one. */
export function createFolder(): string {
  return mkdtempSync(join(tmpdir(), 'mooring-e2e-'));
}

/** The key in a text, if one is there. */
export function findKey(text: string): string | undefined {
  return /[a-z0-9]+_mcp_[0-9a-f]{48,}/.exec(text)?.[0];
}

/** Nothing of this machine's configuration reaches the process. */
function toEnvironment(given: Readonly<Record<string, string>>): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: tmpdir(), ...given };
}

function spawnMooring(args: readonly string[], environment: Readonly<Record<string, string>>): ChildProcess {
  if (!existsSync(commandLine)) throw new Error(`${commandLine} is missing: run "npm run build" first`);
  return spawn(process.execPath, [commandLine, ...args], {
    cwd: repositoryRoot,
    env: toEnvironment(environment),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

interface Watched {
  readonly exited: Promise<Ending>;
  read(): { readonly out: string; readonly error: string };
  onOutput(listener: () => void): void;
}

function watch(child: ChildProcess): Watched {
  const texts = { out: '', error: '' };
  const listeners: (() => void)[] = [];
  const collect = (stream: NodeJS.ReadableStream | null, name: 'out' | 'error'): void => {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      texts[name] = (texts[name] + chunk).slice(-maxOutputChars);
      for (const listener of listeners) listener();
    });
  };
  collect(child.stdout, 'out');
  collect(child.stderr, 'error');
  const exited = new Promise<Ending>((resolve) => {
    child.on('close', (code, signal) => {
      resolve({ code, signal, ...texts });
    });
  });
  return { exited, read: () => ({ ...texts }), onOutput: (listener) => listeners.push(listener) };
}

/** The first group of a pattern once stdout matches; `undefined` when the process ends first or takes too long. */
function waitForText(ran: Watched, pattern: RegExp): Promise<string | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, startTimeoutMs, undefined);
    const settle = (text: string | undefined): void => {
      clearTimeout(timer);
      resolve(text);
    };
    ran.onOutput(() => {
      const found = pattern.exec(ran.read().out)?.[1];
      if (found !== undefined) settle(found);
    });
    void ran.exited.then(() => {
      settle(undefined);
    });
  });
}

async function endWithin(child: ChildProcess, exited: Promise<Ending>): Promise<Ending> {
  const timer = setTimeout(() => child.kill('SIGKILL'), exitTimeoutMs);
  try {
    return await exited;
  } finally {
    clearTimeout(timer);
  }
}
