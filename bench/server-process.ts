/** One server under test, in a process of its own, and the questions it answers over IPC. */
import { fork, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const startTimeoutMs = 60_000;
const answerTimeoutMs = 30_000;
/** How much of a server's complaints is kept for the report. */
const maxComplaintBytes = 4_000;

/** How a server is started. */
export interface ServerSpec {
  /** Absolute path of a module that follows `peers/child.mjs`. */
  readonly module: string;
  readonly arguments: readonly string[];
  readonly nodeOptions?: readonly string[];
  /** Standard error is a log, to be written and thrown away; otherwise it is kept for when the start fails. */
  readonly isLogging?: boolean;
  /** Gets a new folder as its last argument, removed with the process. */
  readonly needsFolder?: boolean;
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
  readonly #folder: string | undefined;

  constructor(child: ChildProcess, ready: Readonly<Record<string, unknown>>, folder: string | undefined) {
    this.#child = child;
    this.#folder = folder;
    this.url = String(ready['url']);
    this.token = typeof ready['token'] === 'string' ? ready['token'] : undefined;
  }

  /** @param collect runs the garbage collector first, if the process was started with `--expose-gc` */
  async measure(collect = false): Promise<Measurement> {
    const answer = waitFor(this.#child, 'measured', answerTimeoutMs);
    this.#child.send({ kind: 'measure', collect });
    const { cpu, memory } = (await answer) as unknown as {
      cpu: NodeJS.CpuUsage;
      memory: NodeJS.MemoryUsage;
    };
    return { cpuMicros: cpu.user + cpu.system, rssBytes: memory.rss, heapUsedBytes: memory.heapUsed };
  }

  async close(): Promise<void> {
    await end(this.#child);
    await removeFolder(this.#folder);
  }
}

/** @throws Error with the end of the server's standard error when it does not start */
export async function startServer(spec: ServerSpec): Promise<ServerProcess> {
  const folder = spec.needsFolder === true ? await mkdtemp(join(tmpdir(), 'mooring-bench-')) : undefined;
  const child = fork(spec.module, [...spec.arguments, ...(folder === undefined ? [] : [folder])], {
    execArgv: [...(spec.nodeOptions ?? [])],
    // Nothing of the caller's environment: a stray variable must not configure a server under test.
    env: { NODE_ENV: 'production' },
    stdio: ['ignore', 'ignore', spec.isLogging === true ? 'ignore' : 'pipe', 'ipc'],
  });
  let complaints = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    complaints = (complaints + chunk.toString()).slice(-maxComplaintBytes);
  });
  try {
    return new ServerProcess(child, await waitFor(child, 'ready', startTimeoutMs), folder);
  } catch (error) {
    await end(child);
    await removeFolder(folder);
    throw new Error(`${(error as Error).message}\n${complaints}`.trim(), { cause: error });
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGKILL');
  await exited;
}

async function removeFolder(folder: string | undefined): Promise<void> {
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
}

function waitFor(child: ChildProcess, kind: string, timeoutMs: number): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const settle = (action: () => void): void => {
      clearTimeout(timer);
      child.off('message', onMessage);
      child.off('exit', onExit);
      child.off('error', onError);
      action();
    };
    const onMessage = (message: unknown): void => {
      if (typeof message !== 'object' || message === null) return;
      const fields = message as Record<string, unknown>;
      if (fields['kind'] === kind) settle(() => resolve(fields));
      if (fields['kind'] === 'failed') settle(() => reject(new Error(String(fields['reason']))));
    };
    const onError = (error: Error): void => settle(() => reject(error));
    const onExit = (code: number | null): void =>
      settle(() => reject(new Error(`the server exited with ${code}`)));
    const onTimeout = (): void =>
      settle(() => reject(new Error(`the server did not say "${kind}" in ${timeoutMs} ms`)));
    const timer = setTimeout(onTimeout, timeoutMs);
    child.on('message', onMessage);
    child.once('error', onError);
    child.once('exit', onExit);
  });
}
