import type { Writable } from 'node:stream';
import type { StreamSink } from './messages.ts';

/** A stream reply on its way to a socket. */
export class NodeStreamSink implements StreamSink {
  readonly #response: Writable;
  readonly #maxBufferedBytes: number;
  readonly #whenGone: (listener: () => void) => void;

  /**
   * @param response its head already sent
   * @param maxBufferedBytes what may wait for the client when a chunk is written; more, and the client is cut
   * @param whenGone calls back once the response closed before it ended
   */
  constructor(response: Writable, maxBufferedBytes: number, whenGone: (listener: () => void) => void) {
    this.#response = response;
    this.#maxBufferedBytes = maxBufferedBytes;
    this.#whenGone = whenGone;
    // Writes race with the client's leaving; what it means is told by `close`.
    response.on('error', () => {});
  }

  get isOpen(): boolean {
    return !this.#response.destroyed && !this.#response.writableEnded;
  }

  write(chunk: string): boolean {
    if (!this.isOpen) return false;
    if (this.#response.writableLength > this.#maxBufferedBytes) {
      this.#response.destroy();
      return false;
    }
    this.#response.write(chunk);
    return true;
  }

  end(): void {
    if (this.isOpen) this.#response.end();
  }

  onClose(listener: () => void): void {
    this.#whenGone(() => {
      if (!this.#response.writableEnded) listener();
    });
  }
}
