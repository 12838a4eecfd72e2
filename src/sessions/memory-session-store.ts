import { RecencyList, type RecencyNode } from '../lib/recency-list.ts';
import { OwnRecords } from './own-records.ts';
import { SessionValues } from './session-values.ts';
import type { SessionChange, SessionRecord, SessionStore, SessionValue } from './session-store.ts';

/** Bounds of a memory session store. */
export interface MemorySessionStoreOptions {
  /** How long a session lives without a `load`. */
  readonly idleTtlMs: number;
  /** Sessions of one principal; one more ends its longest-idle. */
  readonly maxPerPrincipal: number;
  /** Application values of one session together, keys included. Default 64 KiB. */
  readonly maxValueBytes?: number;
  /** Client info, capabilities and subscriptions of one session as JSON. Default 64 KiB. */
  readonly maxRecordBytes?: number;
  /** Sessions of everybody together; one more ends the longest-idle of all. Default 100,000. */
  readonly maxSessions?: number;
  readonly now?: () => number;
}

/** Expired sessions cleared away per creation: more than one, so that clearing overtakes creating. */
const maxSweptPerCreation = 4;

/** Sessions of this process, gone when it ends. Idle sessions have no timers: creating new ones clears them away. */
export function createMemorySessionStore(options: MemorySessionStoreOptions): SessionStore {
  return new MemorySessionStore(options);
}

interface PrincipalSessions {
  readonly key: string;
  readonly byUse: RecencyList<Entry>;
  /** None of these sessions reaches its absolute end before this. */
  noneEndsBefore: number;
}

class Entry {
  record: SessionRecord;
  idleExpiresAt: number;
  values: SessionValues | undefined = undefined;
  readonly principal: PrincipalSessions;
  readonly placeOfAll: RecencyNode<Entry>;
  readonly placeOfPrincipal: RecencyNode<Entry>;

  constructor(
    record: SessionRecord,
    idleExpiresAt: number,
    principal: PrincipalSessions,
    all: RecencyList<Entry>,
  ) {
    this.record = record;
    this.idleExpiresAt = idleExpiresAt;
    this.principal = principal;
    this.placeOfAll = all.add(this);
    this.placeOfPrincipal = principal.byUse.add(this);
  }
}

class MemorySessionStore implements SessionStore {
  readonly #idleTtlMs: number;
  readonly #maxPerPrincipal: number;
  readonly #maxValueBytes: number;
  readonly #records: OwnRecords;
  readonly #maxSessions: number;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();
  readonly #principals = new Map<string, PrincipalSessions>();
  readonly #byUse = new RecencyList<Entry>();
  #isClosed = false;

  constructor(options: MemorySessionStoreOptions) {
    this.#idleTtlMs = options.idleTtlMs;
    this.#maxPerPrincipal = options.maxPerPrincipal;
    this.#maxValueBytes = options.maxValueBytes ?? 64 * 1024;
    this.#records = new OwnRecords(options.maxRecordBytes ?? 64 * 1024);
    this.#maxSessions = options.maxSessions ?? 100_000;
    this.#now = options.now ?? Date.now;
  }

  async create(record: SessionRecord): Promise<readonly string[]> {
    this.#requireOpen();
    const now = this.#now();
    this.#sweep(now);
    if (this.#find(record.id, now) !== undefined)
      throw new TypeError('A session with this id exists already.');
    this.#insert(this.#toOwnRecord(record), now);
    const evicted: string[] = [];
    const principal = this.#principals.get(record.principalKey);
    if (principal !== undefined && principal.byUse.size > this.#maxPerPrincipal) {
      if (now >= principal.noneEndsBefore) this.#clearExpired(principal, now);
      this.#evictOldest(principal.byUse, this.#maxPerPrincipal, now, evicted);
    }
    this.#evictOldest(this.#byUse, this.#maxSessions, now, evicted);
    return evicted;
  }

  async load(id: string): Promise<SessionRecord | undefined> {
    const now = this.#now();
    const entry = this.#find(id, now);
    if (entry === undefined) return undefined;
    entry.idleExpiresAt = now + this.#idleTtlMs;
    this.#byUse.touch(entry.placeOfAll);
    entry.principal.byUse.touch(entry.placeOfPrincipal);
    return entry.record;
  }

  async update(id: string, change: (record: SessionRecord) => SessionChange | undefined): Promise<boolean> {
    const entry = this.#find(id, this.#now());
    if (entry === undefined) return false;
    const changed = change(entry.record);
    if (changed !== undefined) entry.record = this.#toOwnRecord({ ...entry.record, ...changed });
    return true;
  }

  async end(id: string): Promise<boolean> {
    const entry = this.#find(id, this.#now());
    if (entry === undefined) return false;
    this.#remove(entry);
    return true;
  }

  async readValue(id: string, key: string): Promise<SessionValue | undefined> {
    return this.#find(id, this.#now())?.values?.read(key);
  }

  async writeValue(
    id: string,
    key: string,
    value: string | undefined,
    expectedVersion: number,
  ): Promise<boolean> {
    const entry = this.#find(id, this.#now());
    if (entry === undefined) return false;
    entry.values ??= new SessionValues();
    return entry.values.write(key, value, expectedVersion, this.#maxValueBytes);
  }

  async check(): Promise<void> {
    this.#requireOpen();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#entries.clear();
    this.#principals.clear();
    this.#byUse.clear();
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new Error('The session store is closed.');
  }

  #toOwnRecord(record: SessionRecord): SessionRecord {
    // One string for all sessions of a principal, where every request brings its own.
    return this.#records.copy(record, this.#principals.get(record.principalKey)?.key);
  }

  #insert(record: SessionRecord, now: number): void {
    let principal = this.#principals.get(record.principalKey);
    if (principal === undefined) {
      principal = { key: record.principalKey, byUse: new RecencyList(), noneEndsBefore: record.expiresAt };
      this.#principals.set(principal.key, principal);
    }
    principal.noneEndsBefore = Math.min(principal.noneEndsBefore, record.expiresAt);
    const entry = new Entry(record, now + this.#idleTtlMs, principal, this.#byUse);
    this.#entries.set(record.id, entry);
  }

  /** A session past its absolute end may be anywhere in the order, and must not cost a living one its place. */
  #clearExpired(principal: PrincipalSessions, now: number): void {
    let noneEndsBefore = Infinity;
    for (let node = principal.byUse.oldest; node !== undefined;) {
      const { value: entry, newer } = node;
      if (isExpired(entry, now)) this.#remove(entry);
      else noneEndsBefore = Math.min(noneEndsBefore, entry.record.expiresAt);
      node = newer;
    }
    principal.noneEndsBefore = noneEndsBefore;
  }

  #evictOldest(sessions: RecencyList<Entry>, max: number, now: number, evicted: string[]): void {
    while (sessions.size > max && sessions.oldest !== undefined) {
      const { value: oldest } = sessions.oldest;
      if (!isExpired(oldest, now)) evicted.push(oldest.record.id);
      this.#remove(oldest);
    }
  }

  #sweep(now: number): void {
    for (let swept = 0; swept < maxSweptPerCreation; swept += 1) {
      const oldest = this.#byUse.oldest?.value;
      if (oldest === undefined || !isExpired(oldest, now)) return;
      this.#remove(oldest);
    }
  }

  #find(id: string, now: number): Entry | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined || !isExpired(entry, now)) return entry;
    this.#remove(entry);
    return undefined;
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.record.id);
    this.#byUse.remove(entry.placeOfAll);
    entry.principal.byUse.remove(entry.placeOfPrincipal);
    if (entry.principal.byUse.size === 0) this.#principals.delete(entry.principal.key);
  }
}

function isExpired(entry: Entry, now: number): boolean {
  return now >= entry.idleExpiresAt || now >= entry.record.expiresAt;
}
