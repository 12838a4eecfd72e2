/** One server under test, in a process of its own, and the questions it answers over IPC. */
import { fork, type ChildProcess } from 'node:child_process';
import { open, readFile, truncate } from 'node:fs/promises';

const startTimeoutMs = 60_000;
const answerTimeoutMs = 30_000;
/** How much of a server's complaints is told when it does not start. */
const maxComplaintLength = 4_000;

/** How a server is started. */
export interface ServerSpec {
  /** Absolute path of the module that the process runs. */
  readonly module: string;
  readonly arguments: readonly string[];
  readonly nodeOptions?: readonly string[];
  /** All of its environment: a stray variable of the caller's must not configure a server under test. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Whether it is told of a Redis, in `REDIS_URL`. */
  readonly needsRedis?: boolean;
  /**
   * How it says where it listens: with a message, as `peers/child.mjs` does, or with the text that `mooring start`
   * prints for people.
   */
  readonly announcement: 'message' | 'text';
}

/** Where a started process leaves things, and what is known of it already. */
export interface ServerSurroundings {
  /** Gets standard error: the log of a server that logs, complaints of one that does not. */
  readonly logFile: string;
  /** The key from an earlier start on the same data; it is printed only once. */
  readonly token?: string | undefined;
}

/** What a server says about itself. */
export interface Measurement {
  /** User and system time of every thread of the process, in microseconds. */
  readonly cpuMicros: number;
  readonly rssBytes: number;
  readonly heapUsedBytes: number;
}

/** A started server. */
export class ServerProcess {
  readonly url: string;
  /** What a server that checks keys accepts. */
  readonly token: string | undefined;
  readonly #child: ChildProcess;
  readonly #logFile: string;

  constructor(child: ChildProcess, ready: Ready, logFile: string) {
    this.#child = child;
    this.#logFile = logFile;
    this.url = ready.url;
    this.token = ready.token;
  }

  /** @param collect runs the garbage collector first, if the process was started with `--expose-gc` */
  async measure(collect = false): Promise<Measurement> {
    // A log line per request would fill the disk over a run; the cost of writing it is what counts.
    await truncate(this.#logFile, 0);
    const answer = waitForMessage(this.#child, 'measured', answerTimeoutMs);
    this.#child.send({ kind: 'measure', collect });
    const { cpu, memory } = (await answer) as unknown as {
      cpu: NodeJS.CpuUsage;
      memory: NodeJS.MemoryUsage;
    };
    return { cpuMicros: cpu.user + cpu.system, rssBytes: memory.rss, heapUsedBytes: memory.heapUsed };
  }

  async close(): Promise<void> {
    await end(this.#child);
  }
}

interface Ready {
  readonly url: string;
  readonly token: string | undefined;
}

/** @throws Error with the end of the server's standard error when it does not start */
export async function startServer(
  spec: ServerSpec,
  surroundings: ServerSurroundings,
): Promise<ServerProcess> {
  const { logFile, token } = surroundings;
  const log = await open(logFile, 'a');
  const child = fork(spec.module, [...spec.arguments], {
    execArgv: [...(spec.nodeOptions ?? [])],
    env: { NODE_ENV: 'production', ...spec.environment },
    stdio: ['ignore', spec.announcement === 'text' ? 'pipe' : 'ignore', log.fd, 'ipc'],
  });
  try {
    const ready = spec.announcement === 'text' ? await waitForText(child, token) : await waitForReady(child);
    return new ServerProcess(child, ready, logFile);
  } catch (error) {
    await end(child);
    const complaints = (await readFile(logFile, 'utf8')).slice(-maxComplaintLength);
    throw new Error(`${(error as Error).message}\n${complaints}`.trim(), { cause: error });
  } finally {
    await log.close();
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGKILL');
  await exited;
}

async function waitForReady(child: ChildProcess): Promise<Ready> {
  const message = await waitForMessage(child, 'ready', startTimeoutMs);
  return { url: String(message['url']), token: undefined };
}

function waitForText(child: ChildProcess, knownToken: string | undefined): Promise<Ready> {
  let text = '';
  return waitFor(child, startTimeoutMs, 'print where it listens', (resolve) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const url = /running at (\S+)\s/.exec(text)?.[1];
      const token = knownToken ?? /^\s*([a-z0-9]+_mcp_[0-9a-f]+)\s*$/m.exec(text)?.[1];
      if (url !== undefined && token !== undefined) resolve({ url, token });
    });
  });
}

function waitForMessage(
  child: ChildProcess,
  kind: string,
  timeoutMs: number,
): Promise<Record<string, unknown>> {
  return waitFor(child, timeoutMs, `say "${kind}"`, (resolve) => {
    const onMessage = (message: unknown): void => {
      const fields =
        typeof message === 'object' && message !== null ? (message as Record<string, unknown>) : {};
      if (fields['kind'] !== kind) return;
      child.off('message', onMessage);
      resolve(fields);
    };
    child.on('message', onMessage);
  });
}

/** Waits for what `listen` resolves with, unless the process ends or the time is over first. */
function waitFor<Value>(
  child: ChildProcess,
  timeoutMs: number,
  what: string,
  listen: (resolve: (value: Value) => void) => void,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    const settle = (action: () => void): void => {
      clearTimeout(timer);
      child.off('exit', onExit);
      child.off('error', onError);
      action();
    };
    const onError = (error: Error): void => settle(() => reject(error));
    const onExit = (code: number | null): void =>
      settle(() => reject(new Error(`the server exited with ${code}`)));
    const onTimeout = (): void =>
      settle(() => reject(new Error(`the server did not ${what} in ${timeoutMs} ms`)));
    const timer = setTimeout(onTimeout, timeoutMs);
    child.once('error', onError);
    child.once('exit', onExit);
    listen((value) => settle(() => resolve(value)));
  });
}
