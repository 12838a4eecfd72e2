import type { Readable } from 'node:stream';

const lineFeed = 0x0a;

/**
 * Lines of UTF-8 text, without their ends; empty lines are left out. A line longer than `maxBytes` comes out as
 * `undefined`, and what was read of it is not kept.
 */
export async function* readLines(input: Readable, maxBytes: number): AsyncGenerator<string | undefined> {
  let parts: Buffer[] = [];
  let length = 0;
  const add = (part: Buffer): void => {
    length += part.length;
    if (length <= maxBytes) parts.push(part);
    else parts = [];
  };
  const take = (): string | undefined => {
    const line = length > maxBytes ? undefined : Buffer.concat(parts).toString('utf8').trim();
    parts = [];
    length = 0;
    return line;
  };
  for await (const chunk of input) {
    // A stream without an encoding yields buffers.
    const bytes = chunk as Buffer;
    let from = 0;
    for (let at = bytes.indexOf(lineFeed); at >= 0; at = bytes.indexOf(lineFeed, from)) {
      add(bytes.subarray(from, at));
      const line = take();
      if (line !== '') yield line;
      from = at + 1;
    }
    add(bytes.subarray(from));
  }
  const last = take();
  if (last !== '') yield last;
}
