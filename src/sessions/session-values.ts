import type { SessionValue } from './session-store.ts';

/** What one value costs beside its text: many tiny values must not slip under a bound on bytes. */
const valueOverheadBytes = 64;

/** The application values of one session in memory, bounded together. */
export class SessionValues {
  readonly #values = new Map<string, SessionValue>();
  #bytes = 0;
  // One counter for the session, not one per key: a version seen before a removal must not fit what is written after.
  #lastVersion = 0;

  read(key: string): SessionValue | undefined {
    return this.#values.get(key);
  }

  /** See `SessionStore.writeValue`. */
  write(key: string, value: string | undefined, expectedVersion: number, maxBytes: number): boolean {
    const present = this.#values.get(key);
    if ((present?.version ?? 0) !== expectedVersion) return false;
    const bytes = this.#bytes - toValueSize(key, present?.value) + toValueSize(key, value);
    if (value === undefined) {
      this.#values.delete(key);
    } else {
      if (bytes > maxBytes) {
        throw toValuesTooLarge(bytes, maxBytes);
      }
      this.#lastVersion += 1;
      this.#values.set(key, Object.freeze({ value, version: this.#lastVersion }));
    }
    this.#bytes = bytes;
    return true;
  }
}

/** What one value counts for in the bound of its session. */
export function toValueSize(key: string, value: string | undefined): number {
  return value === undefined ? 0 : Buffer.byteLength(key) + Buffer.byteLength(value) + valueOverheadBytes;
}

/** How a write past the bound is refused. */
export function toValuesTooLarge(bytes: number, maxBytes: number): RangeError {
  return new RangeError(
    `The values of a session may hold ${maxBytes} bytes together; this write makes it ${bytes}.`,
  );
}
