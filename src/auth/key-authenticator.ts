/**
 * API keys to principals. Not checked here: what a principal may do, how often it may call, and whether its tenant
 * still exists (tenants are never removed).
 */
import { RequestError, UpstreamError } from '../errors.ts';
import { type ApiKey, isKeyUsable, toKeyEnd } from './api-key.ts';
import type { ApiKeyStore } from './api-key-store.ts';
import type { Authenticator } from './authenticator.ts';
import { type ChangeSource, ChangeWatch } from './change-watch.ts';
import { isKeySecret, maxKeyLength, toKeyHash } from './key-secret.ts';
import { KeyUseLog } from './key-use-log.ts';
import type { Principal } from './principal.ts';

const defaultMaxEntries = 20_000;
const maxRefusals = 10_000;
const maxEnded = 20_000;
const maxConcurrentLookups = 256;
/** A key in use is read again this often, in the background: for who edits the table by hand. */
const recheckMs = 5000;
/** A key not read for this long is not accepted from memory, whether the store was reachable or not. */
const maxAgeMs = 10_000;
const refusalMs = 1000;
const defaultSweepIntervalMs = 250;
const defaultUseIntervalMs = 30_000;

/** What the authenticator needs, and its bounds. */
export interface KeyAuthenticatorOptions {
  readonly keys: ApiKeyStore;
  readonly now?: () => number;
  /** Told of failures that no request reports: of looks in the background and of batches. */
  readonly onError?: (error: unknown) => void;
  /** Most keys in memory. Default 20,000. */
  readonly maxEntries?: number;
  /** How late `onRevoked` may tell of a key that ended by the clock. Default 250. */
  readonly sweepIntervalMs?: number;
  /** How far `lastUsedAt` may be behind. Default 30,000. */
  readonly useIntervalMs?: number;
}

interface Entry {
  readonly key: ApiKey;
  readonly principal: Principal;
  /** When the key ends by itself. */
  readonly endsAt: number;
  readonly staleAt: number;
  recheckAt: number;
}

/**
 * Accepts API keys from memory, behind a watch on the store. What a change does, from when on:
 *
 * - expiry and the end of an overlap: the next request;
 * - a change made by this process: the next request;
 * - a change made by another process: SQLite, 10 ms; PostgreSQL, as fast as `NOTIFY`, and where that is not heard
 *   (a pooler) 1 s; a row edited by hand, 5 s, or 10 s for a key that was idle;
 * - while the store cannot be reached, keys in memory are accepted for at most 10 s after they were last read.
 */
export class KeyAuthenticator implements Authenticator {
  readonly #keys: ApiKeyStore;
  readonly #now: () => number;
  readonly #onError: (error: unknown) => void;
  readonly #maxEntries: number;
  readonly #sweepIntervalMs: number;
  readonly #watch: ChangeWatch<ApiKey>;
  readonly #uses: KeyUseLog;
  readonly #entries = new Map<string, Entry>();
  readonly #hashes = new Map<string, string>();
  /** Hashes that were refused, and until when that is remembered. */
  readonly #refusals = new Map<string, number>();
  readonly #lookups = new Map<string, Promise<Principal>>();
  /** Keys that were seen and will end, and when: longer than their entries, for the streams they opened. */
  readonly #endings = new Map<string, number>();
  /** Keys whose end was told. */
  readonly #ended = new Set<string>();
  readonly #listeners = new Set<(credentialId: string) => void>();
  /** Grows with each change: a key read before one is not kept after it. */
  #epoch = 0;
  #sweep: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: KeyAuthenticatorOptions) {
    this.#keys = options.keys;
    this.#now = options.now ?? Date.now;
    this.#onError = options.onError ?? (() => undefined);
    this.#maxEntries = options.maxEntries ?? defaultMaxEntries;
    this.#sweepIntervalMs = options.sweepIntervalMs ?? defaultSweepIntervalMs;
    this.#uses = new KeyUseLog(options.keys, options.useIntervalMs ?? defaultUseIntervalMs, this.#onError);
    this.#watch = new ChangeWatch(
      toChangeSource(options.keys),
      { changed: (key) => this.#apply(key), reset: () => this.#forget(), failed: this.#onError },
      { now: this.#now },
    );
  }

  authenticate(token: string): Principal | Promise<Principal> {
    if (token.length > maxKeyLength) throw toInvalidToken();
    const hash = toKeyHash(token);
    // A known hash has a known shape: only a token that is new here is worth the third of the cost that this is.
    if (!this.#entries.has(hash) && !isKeySecret(token)) throw toInvalidToken();
    const now = this.#now();
    if (this.#watch.isCurrent(now) || this.#watch.isFailing) return this.#resolve(hash, now);
    return this.#resolveAfterLook(hash);
  }

  onRevoked(listener: (credentialId: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Writes down the last uses and stops watching, after what is under way. The store stays open. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#sweep);
    await Promise.all([this.#watch.close(), this.#uses.close()]);
  }

  async #resolveAfterLook(hash: string): Promise<Principal> {
    this.#startSweep();
    // When the store is out of reach, what was read a moment ago still counts; the watch has told of the failure.
    await this.#watch.look().catch(() => undefined);
    return this.#resolve(hash, this.#now());
  }

  #resolve(hash: string, now: number): Principal | Promise<Principal> {
    const entry = this.#entries.get(hash);
    if (entry !== undefined) {
      if (now >= entry.endsAt) {
        this.#end(entry.key.id);
        throw toInvalidToken();
      }
      if (now < entry.staleAt) {
        if (now >= entry.recheckAt) this.#recheck(hash, entry, now);
        this.#uses.note(entry.key.id, now);
        return entry.principal;
      }
    }
    if (now < (this.#refusals.get(hash) ?? 0)) throw toInvalidToken();
    return this.#lookUp(hash);
  }

  #recheck(hash: string, entry: Entry, now: number): void {
    entry.recheckAt = now + recheckMs;
    if (this.#lookups.size >= maxConcurrentLookups) return;
    this.#lookUp(hash).catch((error: unknown) => {
      if (error instanceof UpstreamError) this.#onError(error);
    });
  }

  #lookUp(hash: string): Promise<Principal> {
    const running = this.#lookups.get(hash);
    if (running !== undefined) return running;
    if (this.#lookups.size >= maxConcurrentLookups) {
      throw new UpstreamError('database', 'Too many unknown API keys are being looked up at once');
    }
    const lookup = this.#load(hash).finally(() => {
      if (this.#lookups.get(hash) === lookup) this.#lookups.delete(hash);
    });
    this.#lookups.set(hash, lookup);
    return lookup;
  }

  async #load(hash: string): Promise<Principal> {
    const epoch = this.#epoch;
    const key = await this.#keys.findByHash(hash);
    const now = this.#now();
    const known = this.#entries.get(hash);
    if (key === undefined || !isKeyUsable(key, now)) {
      if (known !== undefined && epoch === this.#epoch) this.#end(known.key.id);
      if (epoch === this.#epoch) keep(this.#refusals, hash, now + refusalMs, maxRefusals);
      throw toInvalidToken();
    }
    const principal = known?.key.revision === key.revision ? known.principal : toPrincipal(key);
    this.#uses.note(key.id, now);
    if (epoch === this.#epoch) this.#keep(hash, key, principal, now);
    return principal;
  }

  #keep(hash: string, key: ApiKey, principal: Principal, now: number): void {
    const endsAt = toKeyEnd(key) ?? Infinity;
    const [oldest] = this.#entries;
    if (oldest !== undefined && this.#entries.size >= this.#maxEntries && !this.#entries.has(hash)) {
      this.#entries.delete(oldest[0]);
      this.#hashes.delete(oldest[1].key.id);
    }
    this.#entries.set(hash, { key, principal, endsAt, recheckAt: now + recheckMs, staleAt: now + maxAgeMs });
    this.#hashes.set(key.id, hash);
    this.#expectEnd(key);
  }

  /** A key is now as given, by whoever's hand. */
  #apply(key: ApiKey): void {
    this.#epoch += 1;
    this.#lookups.clear();
    this.#refusals.clear();
    this.#drop(key.id);
    if (isKeyUsable(key, this.#now())) this.#expectEnd(key);
    else this.#end(key.id);
  }

  #forget(): void {
    this.#epoch += 1;
    this.#lookups.clear();
    this.#refusals.clear();
    this.#entries.clear();
    this.#hashes.clear();
  }

  #expectEnd(key: ApiKey): void {
    const endsAt = toKeyEnd(key);
    this.#ended.delete(key.id);
    if (endsAt === undefined) this.#endings.delete(key.id);
    else keep(this.#endings, key.id, endsAt, this.#maxEntries);
  }

  #end(keyId: string): void {
    this.#drop(keyId);
    this.#endings.delete(keyId);
    if (this.#ended.has(keyId)) return;
    const [oldest] = this.#ended;
    if (oldest !== undefined && this.#ended.size >= maxEnded) this.#ended.delete(oldest);
    this.#ended.add(keyId);
    for (const listener of this.#listeners) {
      try {
        listener(keyId);
      } catch (error) {
        this.#onError(error);
      }
    }
  }

  #drop(keyId: string): void {
    const hash = this.#hashes.get(keyId);
    if (hash === undefined) return;
    this.#hashes.delete(keyId);
    this.#entries.delete(hash);
  }

  /** From the first key on: what nobody uses need not be watched. */
  #startSweep(): void {
    if (this.#sweep !== undefined || this.#isClosed) return;
    this.#sweep = setInterval(() => {
      this.#watch.poll();
      const now = this.#now();
      for (const [keyId, endsAt] of this.#endings) if (now >= endsAt) this.#end(keyId);
    }, this.#sweepIntervalMs);
    this.#sweep.unref();
  }
}

function toChangeSource(keys: ApiKeyStore): ChangeSource<ApiKey> {
  return {
    loadRevision: () => keys.loadRevision(),
    listChanges: (revision, limit) => keys.listChanges(revision, limit),
    readMarker: () => keys.readMarker(),
    onChange: (listener) =>
      keys.onChange((event) => {
        listener(event.kind === 'changed' ? event.key : undefined);
      }),
  };
}

/** One answer for unknown, inactive and expired: which of them is nobody's business who does not hold the key. */
function toInvalidToken(): RequestError {
  return new RequestError('invalid_token', 'The API key is not valid: unknown, inactive, expired or revoked');
}

function toPrincipal(key: ApiKey): Principal {
  const expiresAt = toKeyEnd(key);
  return Object.freeze({
    kind: 'key',
    subject: key.lineageId,
    credentialId: key.id,
    tenantIds: Object.freeze([key.tenantId]),
    activeTenantId: key.tenantId,
    role: key.role,
    scopes: Object.freeze([...key.scopes]),
    ...(expiresAt !== undefined && { expiresAt }),
  });
}

/** Sets an entry of a bounded map; the one set first makes room. */
function keep<Value>(map: Map<string, Value>, key: string, value: Value, maxSize: number): void {
  if (map.size >= maxSize && !map.has(key)) {
    const [oldest] = map.keys();
    if (oldest !== undefined) map.delete(oldest);
  }
  map.set(key, value);
}
