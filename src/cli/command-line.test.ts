import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConfigError, UpstreamError } from '../errors.ts';
import { openIdentity } from '../identity.ts';
import { rekeySharing } from '../sharing.ts';
import { openTokenUpkeep } from '../token-upkeep.ts';
import { runCommandLine } from './command-line.ts';
import type { StartedHost } from './commands/start.ts';
import { renderFailure } from './render-failure.ts';

let workingDir = '';
beforeEach(() => {
  workingDir = mkdtempSync(join(tmpdir(), 'mooring-cli-'));
  writeFileSync(
    join(workingDir, 'server.mjs'),
    "export default { kind: 'mooring.server-definition', input: { name: 'sample', version: '1' } }",
  );
});
afterEach(() => {
  rmSync(workingDir, { recursive: true });
});

const plainHost: StartedHost = {
  firstRun: undefined,
  firstUser: undefined,
  listen: async () => ({ url: 'http://127.0.0.1:8080/mcp' }),
  serveStdio: async () => undefined,
  close: async () => undefined,
};

function run(
  args: readonly string[],
  environment: Record<string, string> = {},
  host: StartedHost = plainHost,
) {
  const signals = new EventEmitter();
  const exits: number[] = [];
  const texts = { out: '', error: '' };
  const code = runCommandLine(args, {
    version: '9.8.7',
    environment: { LOG_LEVEL: 'silent', ...environment },
    workingDir,
    print: (text) => {
      texts.out += text;
    },
    printError: (text) => {
      texts.error += text;
    },
    createHost: async () => host,
    openIdentity,
    openTokens: openTokenUpkeep,
    rekeySharing,
    input: process.stdin,
    output: process.stdout,
    signals,
    exit: (exitCode) => exits.push(exitCode),
  });
  return { code, texts, signals, exits };
}

describe('exit codes', () => {
  it.each([[['--version']], [['--help']], [['start', '--help']], [['help', 'start']]])(
    '%j is 0',
    async (args) => {
      const { code, texts } = run(args);
      expect(await code).toBe(0);
      expect(texts.out).toMatch(args[0] === '--version' ? /^9\.8\.7\n$/ : /Examples:/);
    },
  );

  it.each([[['frobnicate']], [['start']], [['start', 'a', 'b']], [['start', '--frob', 'a']]])(
    '%j is 2: called wrongly',
    async (args) => {
      const { code, texts } = run(args);
      expect(await code).toBe(2);
      expect(texts.error).toContain('error:');
    },
  );

  it('a failure is 1, in words and without a stack', async () => {
    const { code, texts } = run(['start', 'absent.mjs']);
    expect(await code).toBe(1);
    expect(texts.error).toBe('mooring: There is no file or folder absent.mjs.\n');
  });

  it('a failure shows its stack with LOG_LEVEL=debug', async () => {
    const { code, texts } = run(['start', 'absent.mjs'], { LOG_LEVEL: 'debug' });
    expect(await code).toBe(1);
    expect(texts.error).toContain('load-server-module');
  });
});

it('mooring tenants and mooring keys work on the data folder that the configuration names', async () => {
  const tenant = run(['tenants', 'create', '--name', 'Acme', '--id', 'acme']);
  expect(await tenant.code).toBe(0);
  const key = run(['keys', 'create', '--name', 'laptop', '--tenant', 'acme'], { KEY_PREFIX: 'fp' });
  expect(await key.code).toBe(0);
  expect(key.texts.out).toMatch(/fp_mcp_[0-9a-f]{48,}/);
  const list = run(['keys', 'list', '--tenant', 'acme', '--json']);
  expect(await list.code).toBe(0);
  expect(list.texts.out).toContain('laptop');
});

describe('mooring start', () => {
  it('lists every wrong setting, flags by their own name, before anything else', async () => {
    const { code, texts } = run(['start', 'absent.mjs', '--port', 'x'], {
      MAX_BODY_BYTES: '0',
      REDIS_URL: 'redis://r',
    });
    expect(await code).toBe(1);
    expect(texts.error).toMatch(/3 settings are wrong[\s\S]*--port[\s\S]*MAX_BODY_BYTES[\s\S]*REDIS_URL/);
  });

  it('says when the data folder cannot be written', async () => {
    const { code, texts } = run(['start', 'server.mjs'], { DATA_DIR: 'server.mjs/inside' });
    expect(await code).toBe(1);
    expect(texts.error).toMatch(
      /^mooring: The data folder \S+ cannot be written \(ENOTDIR\)\..*DATA_DIR\.\n$/,
    );
  });

  it.runIf(process.platform === 'linux')(
    'fails at once where the system says that nothing is there',
    async () => {
      const { code, texts } = run(['start', 'server.mjs'], { DATA_DIR: '/proc/mooring/data' });
      expect(await code).toBe(1);
      expect(texts.error).toMatch(
        /^mooring: The data folder \/proc\/mooring\/data cannot be written \(ENOENT\)/,
      );
    },
  );

  it('shows the key of a first run, and stops with 0 on a signal once the host is closed', async () => {
    let finishClosing = (): void => undefined;
    const close = vi.fn(
      () =>
        new Promise<void>((resolve) => {
          finishClosing = resolve;
        }),
    );
    const firstRun = { tenant: { name: 'default' }, secret: 'sample_mcp_00' };
    const { code, texts, signals } = run(['start', 'server.mjs'], {}, { ...plainHost, firstRun, close });
    await vi.waitFor(() => expect(texts.out).toContain('sample_mcp_00'));
    signals.emit('SIGTERM');
    await vi.waitFor(() => expect(close).toHaveBeenCalled());
    finishClosing();
    expect(await code).toBe(0);
  });

  it('does not wait for the host on a second signal', async () => {
    const { texts, signals, exits } = run(
      ['start', 'server.mjs'],
      {},
      { ...plainHost, close: () => new Promise(() => undefined) },
    );
    await vi.waitFor(() => expect(texts.out).toContain('running at'));
    signals.emit('SIGINT');
    signals.emit('SIGINT');
    expect(exits).toEqual([130]);
  });

  it('closes what it opened when it cannot listen', async () => {
    const taken = new ConfigError([{ setting: 'PORT', problem: 'port 8080 is taken by another program' }]);
    const close = vi.fn(async () => undefined);
    const { code, texts } = run(
      ['start', 'server.mjs'],
      {},
      { ...plainHost, listen: () => Promise.reject(taken), close },
    );
    expect(await code).toBe(1);
    expect(close).toHaveBeenCalled();
    expect(texts.error).toBe('mooring: PORT: port 8080 is taken by another program.\n');
  });

  it('keeps stdout for the protocol over stdio, and ends when the client is gone', async () => {
    const firstRun = { tenant: { name: 'default' }, secret: 'sample_mcp_00' };
    const { code, texts } = run(['start', 'server.mjs', '--stdio'], {}, { ...plainHost, firstRun });
    expect(await code).toBe(0);
    expect(texts).toEqual({ out: '', error: '' });
  });
});

describe('a failure in words', () => {
  it.each([
    [
      Object.assign(new Error('x'), { code: 'EROFS', path: '/data/x' }),
      /\/data\/x cannot be written \(EROFS\)/,
    ],
    [new UpstreamError('PostgreSQL', 'no connection'), /PostgreSQL failed: no connection/],
    [new Error('anything'), /anything \(LOG_LEVEL=debug/],
    ['thrown text', /thrown text/],
  ])('%s', (error, expected) => {
    const text = renderFailure(error);
    expect(text).toMatch(expected);
    expect(text.trimEnd().split('\n')).toHaveLength(1);
  });

  it('never shows a credential, with or without the stack', () => {
    const error = new Error('connect postgres://root:hunter2@db failed', {
      cause: new Error('Bearer hunter2'),
    });
    expect(renderFailure(error, { withStack: true })).not.toContain('hunter2');
  });
});
