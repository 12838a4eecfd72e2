/** A value's place in a `RecencyList`. The links are the list's own: change them only through it. */
export interface RecencyNode<Value> {
  readonly value: Value;
  older: RecencyNode<Value> | undefined;
  newer: RecencyNode<Value> | undefined;
}

/**
 * Values in the order of their last use, every operation in constant time.
 *
 * A `Map` also keeps an order, but finding its first key passes over the holes that deletions left, thousands of
 * them where the oldest is always the one to go.
 */
export class RecencyList<Value> {
  #oldest: RecencyNode<Value> | undefined;
  #newest: RecencyNode<Value> | undefined;
  #size = 0;

  get oldest(): RecencyNode<Value> | undefined {
    return this.#oldest;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds a value as the newest. Keep what it returns: it is how the value is found again. */
  add(value: Value): RecencyNode<Value> {
    const node: RecencyNode<Value> = { value, older: undefined, newer: undefined };
    this.#append(node);
    return node;
  }

  /** Makes a value the newest. Does nothing for one that was removed. */
  touch(node: RecencyNode<Value>): void {
    if (node !== this.#newest && this.remove(node)) this.#append(node);
  }

  /** @returns false when it was removed before */
  remove(node: RecencyNode<Value>): boolean {
    if (node.older === undefined && node !== this.#oldest) return false;
    if (node.older === undefined) this.#oldest = node.newer;
    else node.older.newer = node.newer;
    if (node.newer === undefined) this.#newest = node.older;
    else node.newer.older = node.older;
    node.older = undefined;
    node.newer = undefined;
    this.#size -= 1;
    return true;
  }

  /** Forgets every value. Nodes handed out before must not be used again. */
  clear(): void {
    this.#oldest = undefined;
    this.#newest = undefined;
    this.#size = 0;
  }

  #append(node: RecencyNode<Value>): void {
    node.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = node;
    else this.#newest.newer = node;
    this.#newest = node;
    this.#size += 1;
  }
}
