import { Command } from 'commander';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { addTokensCommand } from './tokens.ts';

const keyId = '5d0c6a4e-6f3b-4f0e-9a53-3c5a8f6d1b2e';
let opened: number;
let calls: unknown[][];

beforeEach(() => {
  opened = 0;
  calls = [];
});
afterEach(() => {
  expect(opened).toBe(0);
});

async function run(...args: readonly string[]): Promise<string> {
  const lines: string[] = [];
  const write = (text: string): void => void lines.push(text);
  const program = new Command('mooring').exitOverride().configureOutput({ writeOut: write, writeErr: write });
  addTokensCommand(program, {
    openTokens: async () => {
      opened += 1;
      return {
        rotateKeys: async (isAtOnce) => {
          calls.push(['rotate', isAtOnce]);
          return {
            id: 'kid-1',
            publicJwk: '{}',
            sealedPrivateJwk: 'sealed',
            createdAt: 0,
            activeAt: 600_000,
          };
        },
        revoke: async (...parts) => {
          calls.push(parts);
          return 0;
        },
        revokeKey: async (id) => {
          calls.push(['key', id]);
          return 0;
        },
        close: async () => void (opened -= 1),
      };
    },
    write,
  });
  await program.parseAsync(['tokens', ...args], { from: 'user' });
  return lines.join('\n');
}

test('rotating tells the new key and when it signs, and nothing of its private part', async () => {
  const shown = await run('rotate-keys', '--json');
  expect(JSON.parse(shown)).toEqual({
    kid: 'kid-1',
    createdAt: '1970-01-01T00:00:00.000Z',
    signsFrom: '1970-01-01T00:10:00.000Z',
  });
  expect(await run('rotate-keys', '--now')).toContain('kid-1');
  expect(calls).toEqual([
    ['rotate', false],
    ['rotate', true],
  ]);
});

test.each([
  ['--token-id', 'jti-1', 'token'],
  ['--family', 'sid-1', 'session'],
  ['--grant', 'gid-1', 'grant'],
  ['--user', 'shop|ada', 'user'],
  ['--client', 'https://client.example/id', 'client'],
  ['--tenant', 'cafe', 'tenant'],
  ['--key', keyId, 'key'],
])('%s %s revokes a %s', async (flag, name, kind) => {
  expect(JSON.parse(await run('revoke', flag, name, '--json'))).toEqual({
    kind,
    name,
    revokedAt: '1970-01-01T00:00:00.000Z',
  });
  expect(calls).toEqual([[kind, name]]);
  expect(await run('revoke', flag, name)).toContain(name);
});

test.each([
  ['nothing', []],
  ['two things', ['--user', 'a', '--tenant', 'b']],
  ['an empty name', ['--user', '']],
  ['a name with a line break', ['--user', 'a\nb']],
  ['what is no key', ['--key', 'x']],
])('revoking %s is refused, and nothing is revoked', async (_, args) => {
  await expect(run('revoke', ...args)).rejects.toThrow();
  expect(calls).toEqual([]);
});
