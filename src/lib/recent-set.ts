/**
 * Remembers the last `capacity` values added, and by chance up to twice as many: two generations, of which the
 * elder is dropped whole when the younger is full. Bounded and constant in time, without an order to maintain.
 */
export class RecentSet<Value> {
  readonly #capacity: number;
  #younger = new Set<Value>();
  #elder = new Set<Value>();

  /** @param capacity at least this many are remembered, at most twice as many */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Never more than twice the capacity. */
  get size(): number {
    return this.#younger.size + this.#elder.size;
  }

  has(value: Value): boolean {
    return this.#younger.has(value) || this.#elder.has(value);
  }

  add(value: Value): void {
    this.#elder.delete(value);
    if (this.#younger.size >= this.#capacity && !this.#younger.has(value)) {
      this.#elder = this.#younger;
      this.#younger = new Set();
    }
    this.#younger.add(value);
  }

  clear(): void {
    this.#younger.clear();
    this.#elder.clear();
  }
}
