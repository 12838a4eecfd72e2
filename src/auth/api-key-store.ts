import type { ApiKey } from './api-key.ts';

/** Where a page of keys or tenants continues: after this one, in the order of creation. */
export interface PagePosition {
  readonly createdAt: number;
  readonly id: string;
}

/** A key before it is stored; the store gives it its revision. */
export type NewApiKey = Omit<ApiKey, 'revision'>;

/** What may change in a stored key. `undefined` clears a value. */
export interface ApiKeyChange {
  readonly name?: string;
  readonly scopes?: readonly string[];
  readonly role?: string;
  readonly isActive?: boolean;
  readonly expiresAt?: number | undefined;
  readonly graceUntil?: number;
  readonly revokedAt?: number;
}

/** What a store tells of a change: the key as it is now, or only that something, anywhere, may have changed. */
export type ApiKeyEvent = { readonly kind: 'changed'; readonly key: ApiKey } | { readonly kind: 'unknown' };

/**
 * Where API keys are kept. Every maker serves several processes at once.
 *
 * Each method throws `UpstreamError` when the store cannot be reached.
 */
export interface ApiKeyStore {
  /** @param hash SHA-256 of the whole key, in hexadecimal; unique in the store */
  insert(key: NewApiKey, hash: string): Promise<ApiKey>;
  findByHash(hash: string): Promise<ApiKey | undefined>;
  findById(id: string): Promise<ApiKey | undefined>;
  /** Keys of one tenant, oldest first, at most `limit`. */
  list(tenantId: string, limit: number, after?: PagePosition): Promise<readonly ApiKey[]>;
  /** How many keys of a tenant are neither revoked, nor expired, nor replaced at `now`. */
  count(tenantId: string, now: number): Promise<number>;
  /**
   * Changes a key if nobody changed it since it was read.
   *
   * @returns the key as stored, or `undefined` when another writer was first
   */
  update(key: ApiKey, change: ApiKeyChange): Promise<ApiKey | undefined>;
  /**
   * Stores a successor and starts the overlap of `key`, both or neither, if nobody changed `key` since it was read.
   *
   * @returns the successor as stored, or `undefined` when another writer was first
   */
  rotate(key: ApiKey, graceUntil: number, successor: NewApiKey, hash: string): Promise<ApiKey | undefined>;
  /** Notes when keys were last used, in one statement. Not a change in the sense of `revision`; never goes back. */
  recordUse(lastUsedAt: ReadonlyMap<string, number>): Promise<void>;

  /** The revision of the latest change. Lower than before only when an older copy of the data was restored. */
  loadRevision(): Promise<number>;
  /** Keys that changed after `revision`, in the order of their changes, at most `limit`. */
  listChanges(revision: number, limit: number): Promise<readonly ApiKey[]>;
  /**
   * A number that differs from the last one when another process may have changed something: microseconds, no
   * waiting. Always `undefined` where a store has no such thing; `onChange` and `loadRevision` then have to do.
   */
  readMarker(): number | undefined;
  /**
   * Calls back after each change made through this object, before its promise resolves, and where the store can
   * push, soon after each change made by another process.
   *
   * @returns a function that stops the calls
   */
  onChange(listener: (event: ApiKeyEvent) => void): () => void;
}
