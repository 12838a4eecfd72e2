import type { SessionRecord } from '../sessions/session-store.ts';

/** A record, and the end of the sealed text that it was opened from: its authentication tag. */
export interface OpenedRecord {
  readonly tag: string;
  readonly record: SessionRecord;
}

/** Characters that hold the authentication tag of a sealed text: no two texts share them. */
const tagLength = 22;

/** The characters by which a sealed record is told from every other. */
export function toTag(sealed: string): string {
  return sealed.slice(-tagLength);
}

/**
 * Records that were opened lately. A record whose tag is still the one in Redis need neither be sent nor decrypted
 * again. It says nothing of whether the session lives: only Redis does.
 */
export class OpenedRecords {
  readonly #max: number;
  readonly #records = new Map<string, OpenedRecord>();

  /** @param max past it the one that was opened first is dropped */
  constructor(max: number) {
    this.#max = max;
  }

  find(id: string): OpenedRecord | undefined {
    return this.#records.get(id);
  }

  keep(id: string, opened: OpenedRecord): void {
    this.#records.delete(id);
    this.#records.set(id, opened);
    if (this.#records.size <= this.#max) return;
    const [oldest] = this.#records.keys();
    if (oldest !== undefined) this.#records.delete(oldest);
  }

  forget(id: string): void {
    this.#records.delete(id);
  }

  clear(): void {
    this.#records.clear();
  }
}
