import type { HostedExchange } from './hosted-exchange.ts';

/** Most answered instances that wait to be closed; past it, the oldest is closed at once. */
export const maxClosing = 64;

/**
 * Closes answered instances once the SDK has put their requests away. Closed in the same turn, an instance would tell
 * the handler's signal that the call was aborted. Bounded, because turns may be long: a burst of calls that never wait
 * for anything ends in one.
 */
export class ClosingQueue {
  readonly #close: (hosted: HostedExchange) => Promise<void>;
  #waiting: HostedExchange[] = [];

  constructor(close: (hosted: HostedExchange) => Promise<void>) {
    this.#close = close;
  }

  add(hosted: HostedExchange): void {
    if (this.#waiting.length === 0) setImmediate(() => void this.drain());
    this.#waiting.push(hosted);
    if (this.#waiting.length <= maxClosing) return;
    const oldest = this.#waiting.shift();
    if (oldest !== undefined) void this.#close(oldest);
  }

  /** Closes all that wait. */
  async drain(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    await Promise.all(waiting.map((hosted) => this.#close(hosted)));
  }
}
