import type { Client } from 'pg';

const firstRetryMs = 250;
const maxRetryMs = 10_000;

/**
 * One connection that hears `NOTIFY`. It is a hint only: behind a pooler that shares connections it hears nothing,
 * and what was sent while it was being made again is lost; so listeners are also called after each reconnection,
 * and must look for themselves now and then.
 */
export class PostgresListener {
  readonly #createClient: () => Client;
  readonly #listeners = new Map<string, Set<() => void>>();
  #client: Client | undefined;
  #retryMs = firstRetryMs;
  #retry: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(createClient: () => Client) {
    this.#createClient = createClient;
  }

  /** Connects with the first listener. @param channel a plain lower-case identifier */
  listen(channel: string, listener: () => void): () => void {
    if (!/^[a-z_]+$/.test(channel)) throw new TypeError('a channel is a plain lower-case identifier');
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners);
    listeners.add(listener);
    // A channel that is new to an open connection is picked up by making the connection again.
    if (listeners.size === 1 && this.#client !== undefined) this.#drop(this.#client);
    else if (this.#client === undefined && this.#retry === undefined) this.#connect();
    return () => listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  #connect(): void {
    if (this.#isClosed) return;
    const client = this.#createClient();
    this.#client = client;
    client.on('error', () => this.#drop(client));
    client.on('end', () => this.#drop(client));
    client.on('notification', ({ channel }) => this.#call(channel));
    this.#subscribe(client).catch(() => this.#drop(client));
  }

  async #subscribe(client: Client): Promise<void> {
    await client.connect();
    for (const channel of this.#listeners.keys()) await client.query(`listen ${channel}`);
    this.#retryMs = firstRetryMs;
    for (const channel of this.#listeners.keys()) this.#call(channel);
  }

  #drop(client: Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    client.end().catch(() => undefined);
    if (this.#isClosed) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#connect();
    }, this.#retryMs);
    this.#retry.unref();
    this.#retryMs = Math.min(this.#retryMs * 2, maxRetryMs);
  }

  #call(channel: string): void {
    for (const listener of this.#listeners.get(channel) ?? []) listener();
  }
}
