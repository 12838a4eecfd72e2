import { inspect } from 'node:util';

const shown = '[secret]';

/** A value that never prints: in text, JSON, logs and the debugger's `inspect` it is `[secret]`. */
export class Secret<Value = string> {
  readonly #value: Value;

  constructor(value: Value) {
    this.#value = value;
  }

  /** The value itself, for the one place that needs it. */
  reveal(): Value {
    return this.#value;
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  static {
    // In a static block because a computed method name cannot be declared under isolatedDeclarations.
    Object.defineProperty(Secret.prototype, inspect.custom, { value: () => shown });
  }
}
