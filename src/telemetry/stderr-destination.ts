import { write, writeSync } from 'node:fs';
import type { LogDestination } from './logger.ts';

const stderrDescriptor = 2;
const batchCharacters = 16_384;
const maxBatchDelayMs = 100;
const retryDelayMs = 20;
const maxFlushMs = 2000;
const maxWaitingCharacters = 8_388_608;

/**
 * Standard error without waiting for it. Lines go out in batches, at the latest after `maxBatchDelayMs`; what is left
 * when the process exits goes out then. Past `maxWaitingCharacters` lines are dropped and counted, rather than held
 * without a bound for a reader that stopped. When the reader is gone, lines go nowhere.
 *
 * Not pino's own destination, because that one measures its whole buffer again for every line: it takes twice the
 * time of making the line.
 */
export function createStderrDestination(descriptor: number = stderrDescriptor): LogDestination {
  let waiting = '';
  let droppedLines = 0;
  let isWriting = false;
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;
  let flushed: (() => void)[] = [];

  process.once('exit', () => {
    if (!isClosed && waiting !== '') writeRest(descriptor, waiting);
  });

  return {
    write(line) {
      if (isClosed) return;
      if (waiting.length > maxWaitingCharacters) {
        droppedLines += 1;
        return;
      }
      waiting += line;
      if (isWriting) return;
      if (waiting.length >= batchCharacters) writeBatch();
      else timer ??= setTimeout(writeBatch, maxBatchDelayMs).unref();
    },
    flush: () =>
      new Promise((resolve) => {
        if (isClosed || (waiting === '' && !isWriting)) return resolve();
        const limit = setTimeout(resolve, maxFlushMs);
        flushed.push(() => {
          clearTimeout(limit);
          resolve();
        });
        if (!isWriting) writeBatch();
      }),
  };

  function writeBatch(): void {
    clearTimeout(timer);
    timer = undefined;
    if (isWriting || waiting === '') return settle();
    isWriting = true;
    const batch = Buffer.from(waiting);
    waiting = droppedLines === 0 ? '' : toDroppedLine(droppedLines);
    droppedLines = 0;
    writeFrom(batch, 0);
  }

  function writeFrom(batch: Buffer, offset: number): void {
    write(descriptor, batch, offset, batch.length - offset, null, (error, written) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(writeFrom, retryDelayMs, batch, offset);
        return;
      }
      if (error !== null) {
        isClosed = true;
        waiting = '';
        isWriting = false;
        return settle();
      }
      if (offset + written < batch.length) return writeFrom(batch, offset + written);
      isWriting = false;
      if (waiting.length >= batchCharacters || flushed.length > 0) writeBatch();
      else if (waiting !== '') timer ??= setTimeout(writeBatch, maxBatchDelayMs).unref();
    });
  }

  function settle(): void {
    const resolvers = flushed;
    flushed = [];
    for (const resolve of resolvers) resolve();
  }
}

function writeRest(descriptor: number, text: string): void {
  try {
    writeSync(descriptor, text);
  } catch {
    // The process is ending and stderr takes no more: there is nowhere left to say so.
  }
}

function toDroppedLine(lines: number): string {
  return `${JSON.stringify({ level: 'warn', time: new Date().toISOString(), event: 'log.lines_dropped', lines })}\n`;
}
