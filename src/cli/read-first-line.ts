import type { Readable } from 'node:stream';
import { CommandFailure } from './command-failure.ts';

const maxBytes = 4096;

/**
 * The first line of a stream, without its end.
 *
 * @throws CommandFailure when there is none, or it is longer than 4096 bytes
 */
export async function readFirstLine(input: Readable): Promise<string> {
  let text = '';
  for await (const chunk of input) {
    text += String(chunk);
    if (text.includes('\n') || Buffer.byteLength(text) > maxBytes) break;
  }
  const line = text.split(/\r?\n/, 1)[0] ?? '';
  if (line === '') throw new CommandFailure('There is nothing on standard input.');
  if (Buffer.byteLength(line) > maxBytes) throw new CommandFailure('The line on standard input is too long.');
  return line;
}
