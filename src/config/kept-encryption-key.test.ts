import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ParsedConfig } from './parse-config.ts';
import { keepEncryptionKey } from './kept-encryption-key.ts';
import { loadConfig } from './load-config.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mooring-key-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const load = (environment: Record<string, string> = {}): Promise<ParsedConfig> =>
  loadConfig({ environment: { DATA_DIR: folder, ...environment }, workingDir: folder });

function toHex({ secrets }: ParsedConfig): string {
  return Buffer.from(secrets.encryptionKeys[0].reveal()).toString('hex');
}

async function keep(environment?: Record<string, string>): Promise<string> {
  const { config, secrets } = await load(environment);
  return toHex({ config, secrets: keepEncryptionKey(config, secrets) });
}

test('a key that nobody configured is made once and kept for the owner alone', async () => {
  const first = await keep();
  expect(await keep()).toBe(first);
  const path = join(folder, 'encryption.key');
  expect(readFileSync(path, 'utf8')).toBe(`${first}\n`);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(['encryption.key']);
});

test('a configured key is used as it is, and nothing is kept', async () => {
  const key = 'ab'.repeat(32);
  expect(await keep({ ENCRYPTION_KEY: key })).toBe(key);
  expect(readdirSync(folder)).toEqual([]);
});

test('a file that is no key is told, not replaced', async () => {
  const path = join(folder, 'encryption.key');
  writeFileSync(path, 'mine');
  await expect(keep()).rejects.toThrow(`${path}: is not 64 hexadecimal digits`);
  expect(readFileSync(path, 'utf8')).toBe('mine');
});

test('a folder that is not there is made, for the owner alone', async () => {
  const path = join(folder, 'absent', 'below');
  const key = await keep({ DATA_DIR: path });
  expect(readFileSync(join(path, 'encryption.key'), 'utf8')).toBe(`${key}\n`);
  expect(statSync(path).mode & 0o777).toBe(0o700);
});

test('a folder that cannot be made is told', async () => {
  const path = join(folder, 'file');
  writeFileSync(path, '');
  await expect(keep({ DATA_DIR: join(path, 'below') })).rejects.toThrow(
    /cannot be kept there \((?:ENOTDIR|EEXIST)\)/,
  );
});
