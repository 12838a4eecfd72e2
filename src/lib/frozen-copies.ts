/** A copy that nobody can change, and how long its JSON text is in bytes. */
export interface FrozenCopy<Value> {
  readonly value: Value;
  readonly bytes: number;
}

/** Longer texts are copied each time: what they could save is not worth what they would hold. */
const maxSharedLength = 2048;

/** Values kept for sharing, and up to as many again from before. */
const maxShared = 256;

/**
 * Copies plain data and freezes the copy all the way down. Equal values share one copy, as long as they are small and
 * keep coming: thousands of sessions of one client program then hold one description of it.
 */
export class FrozenCopies<Value> {
  #younger = new Map<string, FrozenCopy<Value>>();
  #elder = new Map<string, FrozenCopy<Value>>();

  /** @param value what JSON can hold */
  copy(value: Value): FrozenCopy<Value> {
    const text = JSON.stringify(value);
    const shared = this.#younger.get(text);
    if (shared !== undefined) return shared;
    const copy = this.#elder.get(text) ?? {
      // The text of a Value of plain data parses to a Value.
      value: freezeDeep(JSON.parse(text) as Value),
      bytes: Buffer.byteLength(text),
    };
    if (text.length <= maxSharedLength) this.#share(text, copy);
    return copy;
  }

  #share(text: string, copy: FrozenCopy<Value>): void {
    if (this.#younger.size >= maxShared) {
      this.#elder = this.#younger;
      this.#younger = new Map();
    }
    this.#younger.set(text, copy);
  }
}

function freezeDeep<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) freezeDeep(part);
    Object.freeze(value);
  }
  return value;
}
