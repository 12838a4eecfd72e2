/** Lines that are no messages, to the built command line over stdio. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { check } from './aim.ts';
import { within } from './exchange.ts';
import { findFault } from './judgement.ts';
import { legacyMessages, modernMessages, strayResponses, toInitialize } from './sound-messages.ts';
import { brokenText, mutated, valueText } from './wire-text.ts';

const timeoutMs = 240_000;
const maxLineBytes = 65_536;
const overLongBytes = 192 * 1024 * 1024;
/** What the process may take beyond its start: far less than the line that it must not keep. */
const memoryToleranceBytes = 64 * 1024 * 1024;
const commandLine = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));
const serverModule = fileURLToPath(new URL('./stdio-server.mjs', import.meta.url));

/** A server process, and what it says. */
class StdioTarget {
  readonly child: ChildProcessWithoutNullStreams;
  readonly #folder = mkdtempSync(join(tmpdir(), 'mooring-malformed-stdio-'));
  readonly lines: string[] = [];
  errors = '';
  #onLine: (() => void) | undefined;
  #sent = 0;

  constructor() {
    const { PATH = '' } = process.env;
    this.child = spawn(process.execPath, [commandLine, 'start', serverModule, '--stdio'], {
      cwd: this.#folder,
      env: { PATH, HOME: this.#folder, DATA_DIR: this.#folder, MAX_BODY_BYTES: String(maxLineBytes) },
    });
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => (this.errors += text));
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      this.lines.push(line);
      this.#onLine?.();
    });
  }

  write(bytes: string | Uint8Array): void {
    this.child.stdin.write(bytes);
    this.child.stdin.write('\n');
  }

  /** Sends a right call and waits for its answer, past which every line before it was taken. */
  async call(name: string, args: object): Promise<string> {
    this.#sent += 1;
    const id = `right-${this.#sent}`;
    const [right] = modernMessages;
    this.write(
      JSON.stringify({
        ...right,
        id,
        method: 'tools/call',
        params: { ...right?.params, name, arguments: args },
      }),
    );
    const own = (line: string): boolean => line.includes(`"id":"${id}"`);
    await this.waitFor(() => this.lines.some(own), name);
    return this.lines.find(own) ?? '';
  }

  async waitFor(isThere: () => boolean, what: unknown): Promise<void> {
    const there = new Promise<void>((resolve, reject) => {
      this.#onLine = () => {
        if (isThere()) resolve();
      };
      this.child.once('exit', () => {
        reject(new Error(`the process ended: ${this.errors.slice(-2000)}`));
      });
      this.#onLine();
    });
    await within(there, what);
    this.child.removeAllListeners('exit');
  }

  async end(): Promise<number | null> {
    const exited = this.child.exitCode === null ? once(this.child, 'close') : undefined;
    this.child.stdin.end();
    if (exited !== undefined) await within(exited, 'end');
    return this.child.exitCode;
  }

  dispose(): void {
    this.child.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

let target: StdioTarget;

beforeEach(async () => {
  target = new StdioTarget();
  await target.call('echo', { text: 'ready' });
});

afterEach(() => {
  target.dispose();
});

const lineText = fc
  .oneof(
    fc.oneof(
      ...modernMessages
        .filter(({ method }) => method !== 'subscriptions/listen')
        .map((message) => mutated(message)),
    ),
    fc.oneof(...[...legacyMessages, ...strayResponses].map((message) => mutated(message))),
    fc.array(mutated(legacyMessages[0]), { maxLength: 3 }).map((items) => `[${items.join(',')}]`),
    valueText,
    brokenText,
  )
  .map((text) => text.replace(/[\r\n]/g, ' '));

/** Sends one line; whatever it is, what comes out is JSON-RPC, and a right call is answered after it. */
async function sendLine(line: string): Promise<void> {
  target.lines.length = 0;
  target.write(line);
  await target.call('echo', { text: 'still here' });
  if (isDueAnAnswer(line)) await target.waitFor(() => target.lines.length >= 2, line);
  const sent = { method: 'POST', path: '/mcp', headers: [], body: line };
  for (const said of target.lines) {
    if (said.includes('"id":"right-')) continue;
    const received = { status: 200, headers: { 'content-type': 'application/json' }, body: said };
    const isNotification = said.startsWith('{"jsonrpc":"2.0","method":');
    expect(isNotification ? undefined : findFault(sent, received), `${line}\n-> ${said}`).toBeUndefined();
  }
}

/** A line that is not JSON, or not a message, or a request, has one answer; blank ones, the others and batches are free. */
function isDueAnAnswer(line: string): boolean {
  if (line.trim() === '') return false;
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null) return true;
    const { id, method } = value as { id?: unknown; method?: unknown };
    return (
      !Array.isArray(value) &&
      typeof method === 'string' &&
      (typeof id === 'string' || typeof id === 'number')
    );
  } catch {
    return true;
  }
}

describe('stdio', () => {
  test.each(['2025-03-26', '2025-11-25'])(
    'lines that are no messages, in %s and the modern era',
    { timeout: timeoutMs },
    async (version) => {
      target.write(JSON.stringify(toInitialize(version)));
      await target.call('echo', { text: 'initialized' });
      await check(lineText, 2000, sendLine);
      expect(target.errors).not.toMatch(/"level":"(error|fatal)"|Warning:|at Object\./);
      expect(await target.end()).toBe(0);
    },
  );

  test('bytes that are no text', { timeout: timeoutMs }, async () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 60 }).filter((one) => !one.includes(0x0a));
    await check(bytes, 600, async (one) => {
      target.lines.length = 0;
      target.write(one);
      await target.call('echo', { text: 'still here' });
      for (const said of target.lines) expect(JSON.parse(said)).toMatchObject({ jsonrpc: '2.0' });
    });
    expect(await target.end()).toBe(0);
  });

  test('a line past the limit is refused without being kept', { timeout: timeoutMs }, async () => {
    const before = Number(/"text":"(\d+)"/.exec(await target.call('peak_memory', {}))?.[1]);
    const chunk = Buffer.alloc(1024 * 1024, 0x61);
    for (let sent = 0; sent < overLongBytes; sent += chunk.length) {
      if (!target.child.stdin.write(chunk)) await within(once(target.child.stdin, 'drain'), 'a long line');
    }
    target.lines.length = 0;
    target.write('');
    const after = Number(/"text":"(\d+)"/.exec(await target.call('peak_memory', {}))?.[1]);
    expect(target.lines[0]).toContain('the message is too long');
    expect(after - before).toBeLessThan(memoryToleranceBytes);
    target.write('x'.repeat(maxLineBytes));
    target.write('x'.repeat(maxLineBytes + 1));
    await target.call('echo', { text: 'still here' });
    expect(target.lines.slice(2, 4).map((line) => /not JSON|too long/.exec(line)?.[0])).toEqual([
      'not JSON',
      'too long',
    ]);
  });

  test('the end of the input waits for answers that are due, whatever stands last', async () => {
    for (let id = 1; id <= 3; id += 1) {
      const [right] = modernMessages;
      const params = { ...right?.params, name: 'wait', arguments: { ms: 100 * id } };
      target.write(JSON.stringify({ ...right, id: `pending-${id}`, method: 'tools/call', params }));
    }
    target.child.stdin.write('{"jsonrpc":"2.0","id":9,"method":"pi');
    expect(await target.end()).toBe(0);
    const said = target.lines.join('\n');
    for (let id = 1; id <= 3; id += 1) expect(said).toContain(`"id":"pending-${id}","result"`);
    expect(said).toContain('the body is not JSON');
  });
});
