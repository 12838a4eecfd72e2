/** Runs the target in this process, and watches everything that malformed input must not cause. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'vitest';
import { createHost, createLogger, type Host, loadConfig } from '../../../src/index.ts';
import { targetServer } from './target-server.ts';

/** Small, so that a body past it is made quickly. */
export const maxBodyBytes = 262_144;
/** Few, so that one leaked stream in this many is noticed. */
export const maxStreams = 8;
const graceMs = 20_000;
const closesWithinMs = 5000;
/** What the heap may be larger after tens of thousands of cases: compiled code and caches, not what clients sent. */
const heapToleranceBytes = 32 * 1024 * 1024;
const heapLooks = 40;

/** A running target. */
export interface TargetHost {
  readonly host: Host;
  readonly origin: string;
  readonly key: string;
  /** Faults of ours since the last look: error lines of the log, warnings and unhandled rejections of the process. */
  takeFaults(): readonly string[];
  /** Takes the heap's size now as where it must come back to. */
  markHeap(): void;
  /** @throws AssertionError when something stayed behind: faults, memory, calls, changed prototypes */
  close(): Promise<void>;
}

/** Starts the target on a free port of the loopback interface. */
export async function startTarget(): Promise<TargetHost> {
  const folder = mkdtempSync(join(tmpdir(), 'mooring-malformed-'));
  const environment = {
    PORT: '0',
    DATA_DIR: folder,
    LOG_LEVEL: 'info',
    MAX_BODY_BYTES: String(maxBodyBytes),
    MAX_STREAMS_PER_PRINCIPAL: String(maxStreams),
    MAX_SESSIONS_PER_PRINCIPAL: '50',
    QUESTION_TIMEOUT_MS: '200',
    CALL_TIMEOUT_MS: '3000',
    HEADERS_TIMEOUT_MS: '1000',
    REQUEST_TIMEOUT_MS: '2000',
    SHUTDOWN_GRACE_MS: String(graceMs),
  };
  const faults: string[] = [];
  const stopWatching = watchProcess(faults);
  const prototypes = describePrototypes();
  const { config, secrets } = await loadConfig({ environment, workingDir: folder });
  const logger = createLogger({ level: 'info', destination: { write: (line) => noteFault(line, faults) } });
  const host = await createHost({ server: targetServer, config, secrets, logger });
  const { url } = await host.listen();
  let heapBefore: number | undefined;
  return {
    host,
    origin: new URL(url).origin,
    key: host.firstRun?.secret ?? '',
    takeFaults: () => faults.splice(0),
    markHeap: () => {
      heapBefore = heapUsed();
    },
    close: async () => {
      const heapAfter = heapBefore === undefined ? 0 : await settledHeap(heapBefore + heapToleranceBytes);
      const from = performance.now();
      await host.close();
      const closedInMs = performance.now() - from;
      stopWatching();
      rmSync(folder, { recursive: true, force: true });
      expect(faults, 'faults of ours').toEqual([]);
      expect(describePrototypes(), 'built-in prototypes').toEqual(prototypes);
      expect(closedInMs, 'a call that never ends holds the host open').toBeLessThan(closesWithinMs);
      if (heapBefore !== undefined)
        expect(heapAfter - heapBefore, 'heap growth').toBeLessThan(heapToleranceBytes);
    },
  };
}

/** An error line of the log is a fault of ours told of ourselves; the tool that fails on purpose aside. */
function noteFault(line: string, faults: string[]): void {
  const { level, what } = JSON.parse(line) as { level: string; what?: string };
  if (line.length > maxLogLineLength) faults.push(`log line of ${line.length} characters`);
  if ((level === 'error' || level === 'fatal') && what !== 'tool fails') faults.push(line.slice(0, 2000));
}

const maxLogLineLength = 8192;

function watchProcess(faults: string[]): () => void {
  const note = (error: unknown): void => {
    faults.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  };
  process.on('unhandledRejection', note).on('uncaughtException', note).on('warning', note);
  return () => {
    process.off('unhandledRejection', note).off('uncaughtException', note).off('warning', note);
  };
}

function describePrototypes(): readonly string[] {
  const holders = [Object, Array, String, Number, Function, Map, Promise].map(
    (maker) => maker.prototype as object,
  );
  return holders.map((holder) => Reflect.ownKeys(holder).map(String).join());
}

/** Waits for what ends by itself, such as a connection that was just let go. */
async function settledHeap(enough: number): Promise<number> {
  let used = heapUsed();
  for (let look = 0; look < heapLooks && used > enough; look += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    used = heapUsed();
  }
  return used;
}

function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  return process.memoryUsage().heapUsed;
}
