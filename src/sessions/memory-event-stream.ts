/** What one event costs beside its text: empty priming events must not slip under a bound on bytes. */
const eventOverheadBytes = 64;

/** Room that trimmed events may take before the rest is moved together. */
const maxTrimmedBeforeCompaction = 64;

/** An event in memory. */
export interface StoredEvent {
  readonly position: number;
  readonly data: string;
}

/** What an event with this text counts for in a bound on bytes. */
export function toEventSize(data: string): number {
  return Buffer.byteLength(data) + eventOverheadBytes;
}

/** The kept events of one stream, oldest first; positions grow but need not be neighbours. */
export class MemoryEventStream {
  readonly id: string;
  /** When the terminal event was appended. */
  completedAt: number | undefined = undefined;
  #events: (StoredEvent | undefined)[] = [];
  #first = 0;
  #lastPosition = 0;

  constructor(id: string) {
    this.id = id;
  }

  get size(): number {
    return this.#events.length - this.#first;
  }

  get firstPosition(): number | undefined {
    return this.#events[this.#first]?.position;
  }

  /** Of the last event ever appended, kept or not; 0 before the first. */
  get lastPosition(): number {
    return this.#lastPosition;
  }

  append(position: number, data: string): void {
    this.#events.push({ position, data });
    this.#lastPosition = position;
  }

  /** Forgets the oldest event. @returns its size; 0 when there is none */
  trim(): number {
    const event = this.#events[this.#first];
    if (event === undefined) return 0;
    this.#events[this.#first] = undefined;
    this.#first += 1;
    if (this.#first > maxTrimmedBeforeCompaction && this.#first * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#first);
      this.#first = 0;
    }
    return toEventSize(event.data);
  }

  /** At most `limit` events after the one at `position`; `undefined` when that one is not kept. */
  readAfter(position: number, limit: number): readonly StoredEvent[] | undefined {
    let low = this.#first;
    let high = this.#events.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const found = this.#events[middle]?.position ?? 0;
      if (found === position) return this.#events.slice(middle + 1, middle + 1 + limit) as StoredEvent[];
      if (found < position) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }
}
