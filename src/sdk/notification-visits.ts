import { setImmediate } from 'node:timers/promises';
import type { HostedExchange } from './hosted-exchange.ts';

/** Most instances kept open for a notification at once; past it, the oldest is closed. */
export const maxVisits = 64;

/** How long an instance stays after a notification, for what its handler does next. */
export const visitMs = 1000;

/** How long it stays while it waits for the client. */
export const maxVisitMs = 60_000;

/**
 * Instances that were fed a notification. Nothing tells when such a handler is done, so each stays a while.
 */
export class NotificationVisits {
  readonly #open = new Map<HostedExchange, NodeJS.Timeout>();

  /** Keeps an instance for its while, then closes it. */
  add(hosted: HostedExchange): void {
    const [oldest] = this.#open.keys();
    if (this.#open.size >= maxVisits && oldest !== undefined) this.#end(oldest);
    this.#schedule(hosted, maxVisitMs / visitMs);
  }

  async close(): Promise<void> {
    for (const hosted of this.#open.keys()) this.#end(hosted);
    await setImmediate();
  }

  #schedule(hosted: HostedExchange, turnsLeft: number): void {
    const timer = setTimeout(() => {
      if (hosted.isAsking && turnsLeft > 1) this.#schedule(hosted, turnsLeft - 1);
      else this.#end(hosted);
    }, visitMs);
    timer.unref();
    this.#open.set(hosted, timer);
  }

  #end(hosted: HostedExchange): void {
    clearTimeout(this.#open.get(hosted));
    this.#open.delete(hosted);
    // What the author's own `onclose` throws concerns nobody any more.
    hosted.close().catch(() => undefined);
  }
}
