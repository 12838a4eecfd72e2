import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram } from './program.ts';

/** A Redis server of its own for one test file, on loopback. */
export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Freezes it: it takes connections and commands and answers nothing. */
  pause(): void;
  resume(): void;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
  /** Starts it again on the same port after `kill`, with its data if it keeps any and that is not to be lost. */
  restart(options?: { readonly isDataLost?: boolean }): Promise<void>;
  /** Ends it for good and removes its folder. */
  stop(): Promise<void>;
}

/** Redis to share with others: what a test writes begins with a prefix of its own. */
export interface SharedRedis {
  readonly url: string;
  readonly prefix: string;
  stop(): Promise<void>;
}

const startTimeoutMs = 10_000;

/**
 * The Redis that `REDIS_URL` names, or one of our own without it. For tests that leave the server alone: it may hold
 * other people's data.
 */
export async function findRedis(): Promise<SharedRedis> {
  const prefix = `mcp-test-${randomBytes(6).toString('hex')}:`;
  const url = process.env['REDIS_URL'];
  if (url !== undefined && url !== '') return { url, prefix, stop: async () => undefined };
  const server = await startRedis();
  return { url: server.url, prefix, stop: () => server.stop() };
}

/**
 * Starts `redis-server`, installed first where it is missing and may be.
 *
 * @param options.isPersistent keeps an append-only file, written with every command. Default no
 * @param options.settings further lines of its configuration, e.g. `['requirepass', 'secret']`
 */
export async function startRedis(
  options: { readonly isPersistent?: boolean; readonly settings?: readonly (readonly string[])[] } = {},
): Promise<RedisServer> {
  const persistence =
    options.isPersistent === true
      ? [
          ['appendonly', 'yes'],
          ['appendfsync', 'always'],
        ]
      : [];
  return startProcess([
    'save ""',
    ...[...persistence, ...(options.settings ?? [])].map((line) => line.join(' ')),
  ]);
}

/** Starts a sentinel that fails over soon and by itself. @param lines further ones of its configuration */
export async function startSentinel(
  masterName: string,
  masterPort: number,
  lines: readonly string[] = [],
): Promise<RedisServer> {
  return startProcess(
    [
      `sentinel monitor ${masterName} 127.0.0.1 ${masterPort} 1`,
      `sentinel down-after-milliseconds ${masterName} 500`,
      `sentinel failover-timeout ${masterName} 2000`,
      ...lines,
    ],
    ['--sentinel'],
  );
}

async function startProcess(lines: readonly string[], flags: readonly string[] = []): Promise<RedisServer> {
  const program = await findProgram('redis-server', 'redis-server');
  const folder = await mkdtemp(join(tmpdir(), 'mooring-redis-'));
  const port = await findFreePort();
  const file = join(folder, 'redis.conf');
  await writeFile(file, [`port ${port}`, 'bind 127.0.0.1', `dir ${folder}`, ...lines, ''].join('\n'));
  const args = [file, ...flags];
  let server = await start(program, args);
  const isRunning = (): boolean => server.exitCode === null && server.signalCode === null;
  const kill = async (): Promise<void> => {
    if (!isRunning()) return;
    const exit = once(server, 'exit');
    server.kill('SIGKILL');
    await exit;
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    pause: () => void server.kill('SIGSTOP'),
    resume: () => void server.kill('SIGCONT'),
    kill,
    restart: async ({ isDataLost = false } = {}) => {
      if (isRunning()) return;
      if (isDataLost) await rm(join(folder, 'appendonlydir'), { recursive: true, force: true });
      server = await start(program, args);
    },
    stop: async () => {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function start(program: string, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const killNow = (): void => void child.kill('SIGKILL');
  process.once('exit', killNow);
  child.once('exit', () => process.off('exit', killNow));
  let log = '';
  await new Promise<void>((resolve, reject) => {
    const fail = (problem: string): void => {
      child.kill('SIGKILL');
      reject(new Error(`redis-server ${problem}:\n${log}`));
    };
    const timer = setTimeout(() => fail(`was not ready within ${startTimeoutMs} ms`), startTimeoutMs);
    const read = (chunk: Buffer): void => {
      log = (log + chunk.toString()).slice(-4000);
      if (/eady to accept connections|Sentinel ID is/.test(log)) {
        clearTimeout(timer);
        resolve();
      }
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('error', (error) => fail(`did not start (${error.message})`));
    child.once('exit', () => {
      clearTimeout(timer);
      fail('ended');
    });
  });
  return child;
}

/** A port that nothing listens on at the moment. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on a TCP port has such an address.
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
