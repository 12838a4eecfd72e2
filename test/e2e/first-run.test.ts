/** What a person meets who starts a server for the first time, for the second time, and with something wrong. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  createFolder,
  findKey,
  type MooringProcess,
  notesModule,
  runMooring,
  startMooring,
} from './mooring-process.ts';
import { callModern } from './wire.ts';

let folder = '';
const running: MooringProcess[] = [];

beforeEach(() => {
  folder = createFolder();
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()));
  rmSync(folder, { recursive: true, force: true });
});

async function start(dataDir: string, environment: Record<string, string> = {}): Promise<MooringProcess> {
  const server = await startMooring({ dataDir, environment });
  running.push(server);
  return server;
}

describe('the first run', () => {
  test('prints the address, the key once by itself, and how to connect each client', async () => {
    const { url, key, ...server } = await start(folder);
    const { out, error } = server.read();
    expect(key).toMatch(/^mooring_mcp_[0-9a-f]{48,}$/);
    expect(out.match(new RegExp(`^\\s+${key}$`, 'gm'))).toHaveLength(1);
    expect(out).toContain(`running at ${url}`);
    for (const heading of ['Claude Code', 'Cursor', 'VS Code', 'MCP Inspector', 'curl']) {
      expect(out).toContain(`\n${heading}`);
    }
    expect(out).toContain(`claude mcp add --transport http notes ${url}`);
    expect(error).not.toContain(key);
  });

  test('keeps the key itself nowhere, and its data from other users of the machine', async () => {
    const dataDir = join(folder, 'data');
    const { key } = await start(dataDir);
    for (const name of readdirSync(dataDir, { recursive: true, encoding: 'utf8' })) {
      const path = join(dataDir, name);
      if (statSync(path).isFile()) expect(readFileSync(path).includes(key), name).toBe(false);
    }
    expect(statSync(dataDir).mode & 0o077).toBe(0);
  });

  test('makes one tenant and one key when two servers start at once', async () => {
    const servers = await Promise.all([start(folder), start(folder)]);
    const keys = servers.map(({ key }) => key).filter((key) => key !== '');
    expect(keys).toHaveLength(1);
    const [key = ''] = keys;
    for (const { url } of servers) {
      expect(await callModern({ url, key }, 'list_notes')).toMatchObject({ structuredContent: { total: 0 } });
    }
  });

  test('takes its prefix for keys from KEY_PREFIX', async () => {
    const { key } = await start(folder, { KEY_PREFIX: 'fp' });
    expect(key).toMatch(/^fp_mcp_[0-9a-f]{48,}$/);
  });
});

describe('a later run', () => {
  test('keeps the data, accepts the key and does not print one', async () => {
    const first = await start(folder);
    await callModern(first, 'add_note', { title: 'Still here' });
    expect(await first.stop()).toMatchObject({ code: 0 });

    const second = await start(folder);
    const { out, error } = second.read();
    expect(findKey(out + error)).toBeUndefined();
    expect(out).toContain(`running at ${second.url}`);
    const found = await callModern({ url: second.url, key: first.key }, 'search_notes', {
      query: 'still here',
    });
    expect(found).toMatchObject({ structuredContent: { total: 1 } });
  });

  test('finds the data after a process that was killed', async () => {
    const first = await start(folder);
    await callModern(first, 'add_note', { title: 'Survivor' });
    first.signal('SIGKILL');
    await first.exited;

    const second = await start(folder);
    const found = await callModern({ url: second.url, key: first.key }, 'search_notes', {
      query: 'survivor',
    });
    expect(found).toMatchObject({ structuredContent: { total: 1 } });
  });
});

describe('what cannot work ends with one clear message', () => {
  const start = (
    environment: Record<string, string>,
    module: string = notesModule,
  ): ReturnType<typeof runMooring> =>
    runMooring(['start', module], { PORT: '0', DATA_DIR: join(folder, 'data'), ...environment });

  test('a port that is taken', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const port = String((other.address() as AddressInfo).port);
    try {
      const { code, out, error } = await start({ PORT: port, LOG_LEVEL: 'info' });
      expect(code).toBe(1);
      expect(out).toBe('');
      expect(error).toMatch(/^mooring: PORT: [^\n]*taken[^\n]*\n$/);
      expect(error).toContain(port);
    } finally {
      other.close();
    }
  });

  test('a port that is taken does not cost the first key', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    try {
      await start({ PORT: String((other.address() as AddressInfo).port) });
    } finally {
      other.close();
    }
    const server = await startMooring({ dataDir: join(folder, 'data') });
    running.push(server);
    expect(server.key).not.toBe('');
  });

  test('a data folder that cannot be written', async () => {
    // A file in its place: permissions do not stop the superuser that tests may run as.
    writeFileSync(join(folder, 'taken'), '');
    const { code, out, error } = await start({ DATA_DIR: join(folder, 'taken/data') });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(error).toMatch(/^mooring: [^\n]*cannot be written[^\n]*DATA_DIR[^\n]*\n$/);
  });

  test('a data folder whose database is something else', async () => {
    mkdirSync(join(folder, 'data'));
    writeFileSync(
      join(folder, 'data/mooring.db'),
      'this is not a database, and long enough to be seen as none. '.repeat(50),
    );
    const { code, out, error } = await start({});
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(error.trimEnd().split('\n'), error).toHaveLength(1);
    expect(error).toContain('mooring.db');
  });

  test('several wrong settings, all named at once', async () => {
    const { code, out, error } = await start({
      PORT: '99999',
      LOG_LEVEL: 'loud',
      MAX_BODY_BYTES: 'big',
      ENCRYPTION_KEY: 'hunter2',
    });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    for (const name of ['PORT', 'LOG_LEVEL', 'MAX_BODY_BYTES', 'ENCRYPTION_KEY'])
      expect(error).toContain(`${name}:`);
    expect(error).not.toContain('hunter2');
    expect(error).not.toMatch(/\n\s+at /);
    expect(existsSync(join(folder, 'data'))).toBe(false);
  });

  test.each(['./nowhere.mjs', 'README.md', 'package.json'])(
    'a module that cannot be served: %s',
    async (module) => {
      const { code, out, error } = await start({}, module);
      expect({ code, out }).toEqual({ code: 1, out: '' });
      expect(error).toMatch(/^mooring: [^\n]+\n$/);
    },
  );

  test('a public address without ENCRYPTION_KEY in production', async () => {
    const { code, error } = await start({ NODE_ENV: 'production' });
    expect(code).toBe(1);
    expect(error).toMatch(/^mooring: [^\n]*ENCRYPTION_KEY[^\n]*\n$/);
  });
});
