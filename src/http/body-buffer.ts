import { isAscii, isUtf8 } from 'node:buffer';
import { RequestError } from '../errors.ts';
import { toBodyTooLarge } from './stages/refuse-body.ts';

/**
 * A body as it arrives. Holds at most twice what has arrived, however small the pieces are: kept as they come, pieces
 * of one byte would take a hundred times their size.
 */
export class BodyBuffer {
  readonly #maxBodyBytes: number;
  #bytes: Uint8Array = nothing;
  #size = 0;

  constructor(maxBodyBytes: number) {
    this.#maxBodyBytes = maxBodyBytes;
  }

  /**
   * @param chunk kept, not copied, when it is the first
   * @throws RequestError `body_too_large`
   */
  push(chunk: Uint8Array): void {
    const size = this.#size + chunk.length;
    if (size > this.#maxBodyBytes) throw toBodyTooLarge(this.#maxBodyBytes);
    if (this.#size === 0) {
      this.#bytes = chunk;
    } else {
      if (size > this.#bytes.length) {
        const grown = new Uint8Array(Math.min(this.#maxBodyBytes, 2 * size));
        grown.set(this.#bytes.subarray(0, this.#size));
        this.#bytes = grown;
      }
      this.#bytes.set(chunk, this.#size);
    }
    this.#size = size;
  }

  /**
   * The body so far, as text.
   *
   * @throws RequestError `request_invalid`: not UTF-8 (JSON between systems MUST be: RFC 8259, section 8.1)
   */
  decode(): string {
    if (this.#size === 0) return '';
    const bytes = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, this.#size);
    // Most bodies are ASCII, and reading those as Latin-1 spares the decoder.
    if (isAscii(bytes)) return bytes.toString('latin1');
    if (!isUtf8(bytes)) throw new RequestError('request_invalid', 'The request body is not valid UTF-8.');
    return bytes.toString('utf8');
  }
}

const nothing = new Uint8Array(0);
