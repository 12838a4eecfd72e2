import type { ApiKeyStore } from './api-key-store.ts';

const maxPending = 10_000;

/** Remembers when keys were used and writes it down in batches, so that no request waits for it. */
export class KeyUseLog {
  readonly #keys: Pick<ApiKeyStore, 'recordUse'>;
  readonly #onError: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  #pending = new Map<string, number>();

  /** @param intervalMs how far `lastUsedAt` may be behind */
  constructor(keys: Pick<ApiKeyStore, 'recordUse'>, intervalMs: number, onError: (error: unknown) => void) {
    this.#keys = keys;
    this.#onError = onError;
    this.#timer = setInterval(() => void this.flush(), intervalMs);
    this.#timer.unref();
  }

  /** Notes a use. Past the bound, which takes a long outage, uses of further keys are not noted. */
  note(keyId: string, at: number): void {
    if (this.#pending.size < maxPending || this.#pending.has(keyId)) this.#pending.set(keyId, at);
  }

  /** Writes what is pending; after a failure it stays pending. Never rejects. */
  async flush(): Promise<void> {
    if (this.#pending.size === 0) return;
    const batch = this.#pending;
    this.#pending = new Map();
    try {
      await this.#keys.recordUse(batch);
    } catch (error) {
      for (const [keyId, at] of batch) if (!this.#pending.has(keyId)) this.note(keyId, at);
      this.#onError(error);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }
}
