/** Runs the fixture as its users do: as a process of its own, with the key that it prints. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const startTimeoutMs = 60_000;
const stopTimeoutMs = 15_000;
const maxLogChars = 500_000;
const builtServe = fileURLToPath(
  new URL('../../dist-tools/test/conformance/everything/serve.js', import.meta.url),
);

/** The two ways in which the fixture is written. */
export type Fixture = 'definition' | 'sdk';

/** What several instances of one fixture share. */
export interface SharedState {
  readonly dataDir: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** A fixture that listens. */
export interface EverythingProcess {
  /** Of the MCP endpoint. */
  readonly url: string;
  /** Empty unless it made the data that it serves from. */
  readonly key: string;
  /** The end of the log of each process that it consists of. */
  readLogs(): readonly string[];
  /** Asks it to stop, and makes it stop when it does not. */
  stop(): Promise<void>;
}

/**
 * Starts a fixture on a free port.
 *
 * @param shared what it has in common with further instances; without it, it is alone
 * @throws Error with its log when it does not come up
 */
export async function startEverything(fixture: Fixture, shared?: SharedState): Promise<EverythingProcess> {
  if (!existsSync(builtServe)) throw new Error(`${builtServe} is missing: run "npm run build" first`);
  const args = [
    '--json',
    ...(fixture === 'sdk' ? ['--sdk'] : []),
    ...(shared === undefined ? [] : ['--data-dir', shared.dataDir]),
  ];
  const child = spawn(process.execPath, [builtServe, ...args], {
    // Nothing of this machine's configuration reaches it.
    env: { PATH: process.env['PATH'], PORT: '0', ...shared?.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    log = `${log}${chunk}`.slice(-maxLogChars);
  });
  const exited = new Promise<void>((resolve) => child.on('close', () => resolve()));
  const stop = async (): Promise<void> => {
    const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
    child.kill('SIGTERM');
    await exited;
    clearTimeout(timer);
  };
  const announced = await waitForLine(child.stdout, exited);
  if (announced === undefined) {
    await stop();
    throw new Error(`The ${fixture} fixture did not start:\n${log}`);
  }
  return { ...(JSON.parse(announced) as { url: string; key: string }), readLogs: () => [log], stop };
}

/** The first line of a stream; `undefined` when the process ends first or takes too long. */
function waitForLine(stream: NodeJS.ReadableStream, exited: Promise<void>): Promise<string | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, startTimeoutMs, undefined);
    let text = '';
    const settle = (line: string | undefined): void => {
      clearTimeout(timer);
      resolve(line);
    };
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end >= 0) settle(text.slice(0, end));
    });
    void exited.then(() => settle(undefined));
  });
}
