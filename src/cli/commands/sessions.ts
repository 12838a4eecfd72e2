import type { Command } from 'commander';
import type { RekeyProgress, RekeySummary } from '../../redis/rekey-sessions.ts';
import { CommandFailure } from '../command-failure.ts';

/** What the commands need of their surroundings. */
export interface SessionsDeps {
  /** @returns `undefined` when it is being done already */
  readonly rekey: (onProgress: (progress: RekeyProgress) => void) => Promise<RekeySummary | undefined>;
  /** One line, or several, on stdout. */
  readonly write: (line: string) => void;
  /** A line on stderr. */
  readonly writeProgress: (line: string) => void;
  /** Milliseconds; never runs backwards. */
  readonly now?: () => number;
}

/** Between two lines of progress. */
const progressIntervalMs = 1000;

/** Adds `mooring sessions rekey`. */
export function addSessionsCommand(program: Command, deps: SessionsDeps): void {
  const sessions = program
    .command('sessions')
    .summary('look after the sessions that instances share')
    .description('What instances share on Redis: sessions, their values, their streams.');

  sessions
    .command('rekey')
    .summary('encrypt everything on Redis with the first key of ENCRYPTION_KEY')
    .description(
      'Encrypts everything on Redis with the first key of ENCRYPTION_KEY, while instances serve. Run again, it goes on where it was ended. One of the steps of changing the key.',
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExample:\n  $ REDIS_URL=redis://redis:6379 ENCRYPTION_KEY=<new>,<old> mooring sessions rekey',
    )
    .action(async (flags: { readonly json?: true }) => {
      const summary = await deps.rekey(createProgressWriter(deps));
      if (summary === undefined) throw new CommandFailure('Another rekey is running. Wait for it to end.');
      deps.write(flags.json ? JSON.stringify(summary, null, 2) : renderSummary(summary));
      requireDone(summary);
    });
}

function createProgressWriter({ writeProgress, now = () => performance.now() }: SessionsDeps) {
  let lastAt = Number.NEGATIVE_INFINITY;
  return ({ pass, keys, resealed, waiting }: RekeyProgress): void => {
    if (now() - lastAt < progressIntervalMs) return;
    lastAt = now();
    writeProgress(
      waiting > 0
        ? `waiting for ${waiting} messages between instances to go`
        : `pass ${pass}: ${keys} keys seen, ${resealed} texts encrypted anew`,
    );
  };
}

function renderSummary({ keyId, passes, resealed, current, isComplete }: RekeySummary): string {
  return [
    `Encrypted anew with key ${keyId}: ${renderCounts(resealed)}, in ${passes} passes.`,
    `On Redis with this key now: ${renderCounts(current)}.`,
    ...(isComplete ? ['Nothing is left that another key encrypts.'] : []),
  ].join('\n');
}

function renderCounts({ records, values, events }: RekeySummary['resealed']): string {
  return `${records} sessions, ${values} values, ${events} events`;
}

/** @throws CommandFailure when the old key must not be taken away yet */
function requireDone({ unreadable, messagesLeft, isComplete }: RekeySummary): void {
  if (unreadable > 0) {
    throw new CommandFailure(
      `${unreadable} texts open with none of the keys in ENCRYPTION_KEY. If a key is missing there, add it and run this again; otherwise they are lost, and end by themselves.`,
    );
  }
  if (messagesLeft > 0) {
    throw new CommandFailure(
      `${messagesLeft} messages between instances are still encrypted with another key. Is there an instance with another first key, or one that hangs? Run this again.`,
    );
  }
  if (!isComplete) {
    throw new CommandFailure(
      'There always was more to do: some instance still encrypts with another key. Give all of them the same first key, then run this again.',
    );
  }
}
