import { Command } from 'commander';
import { expect, test } from 'vitest';
import type { RekeyProgress, RekeySummary } from '../../redis/rekey-sessions.ts';
import { addSessionsCommand } from './sessions.ts';

const whole: RekeySummary = {
  keyId: '0123456789ab',
  passes: 2,
  resealed: { records: 3, values: 4, events: 5 },
  current: { records: 6, values: 7, events: 8 },
  unreadable: 0,
  messagesLeft: 0,
  isComplete: true,
};

async function rekey(
  summary: RekeySummary | undefined,
  flags: readonly string[] = [],
  progress: readonly (RekeyProgress & { readonly at: number })[] = [],
): Promise<{ lines: string[]; progressLines: string[]; failure: unknown }> {
  const lines: string[] = [];
  const progressLines: string[] = [];
  let now = 0;
  const program = new Command('mooring').exitOverride();
  addSessionsCommand(program, {
    rekey: async (onProgress) => {
      for (const { at, ...each } of progress) {
        now = at;
        onProgress(each);
      }
      return summary;
    },
    write: (line) => lines.push(line),
    writeProgress: (line) => progressLines.push(line),
    now: () => now,
  });
  const failure: unknown = await program
    .parseAsync(['sessions', 'rekey', ...flags], { from: 'user' })
    .then(() => undefined)
    .catch((error: unknown) => error);
  return { lines, progressLines, failure };
}

test('what was done is told in words, or as JSON', async () => {
  const { lines, failure } = await rekey(whole);
  expect(failure).toBeUndefined();
  expect(lines.join('\n')).toBe(
    `Encrypted anew with key 0123456789ab: 3 sessions, 4 values, 5 events, in 2 passes.
On Redis with this key now: 6 sessions, 7 values, 8 events.
Nothing is left that another key encrypts.`,
  );
  expect(JSON.parse((await rekey(whole, ['--json'])).lines.join('\n'))).toEqual(whole);
});

test.each([
  [{ ...whole, unreadable: 2, isComplete: true }, /2 texts open with none of the keys/],
  [{ ...whole, messagesLeft: 1, isComplete: false }, /1 messages between instances/],
  [{ ...whole, isComplete: false }, /same first key, then run this again/],
])('while the old key is still needed the command fails, after its summary', async (summary, message) => {
  const { lines, failure } = await rekey(summary, ['--json']);
  expect(JSON.parse(lines.join('\n'))).toEqual(summary);
  expect(String(failure)).toMatch(message);
});

test('another one that is running is not joined', async () => {
  const { lines, failure } = await rekey(undefined);
  expect(lines).toEqual([]);
  expect(String(failure)).toMatch(/Another rekey is running/);
});

test('progress is told once a second at most', async () => {
  const step = { pass: 1, keys: 250, resealed: 10, waiting: 0 };
  const { progressLines } = await rekey(
    whole,
    [],
    [
      { ...step, at: 0 },
      { ...step, at: 999 },
      { ...step, keys: 500, at: 1000 },
      { ...step, waiting: 3, at: 2000 },
    ],
  );
  expect(progressLines).toEqual([
    'pass 1: 250 keys seen, 10 texts encrypted anew',
    'pass 1: 500 keys seen, 10 texts encrypted anew',
    'waiting for 3 messages between instances to go',
  ]);
});
