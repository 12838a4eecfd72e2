import { randomUUID } from 'node:crypto';
import { UpstreamError } from '../errors.ts';
import { createTurns } from '../lib/turns.ts';
import type { SealedBox } from '../mcp/sealed-box.ts';
import { OwnRecords } from '../sessions/own-records.ts';
import { toValueSize, toValuesTooLarge } from '../sessions/session-values.ts';
import type { SessionChange, SessionRecord, SessionStore, SessionValue } from '../sessions/session-store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { OpenedRecords, toTag } from './opened-records.ts';
import { PrincipalSessions } from './principal-sessions.ts';
import type { RedisConnection } from './redis-connection.ts';
import { createSession } from './scripts/create-session.ts';
import { endSession } from './scripts/end-session.ts';
import { loadSession } from './scripts/load-session.ts';
import { readSessionValue } from './scripts/read-session-value.ts';
import { replaceSession } from './scripts/replace-session.ts';
import { writeSessionValue } from './scripts/write-session-value.ts';
import { isSessionId, toSessionKeys, toValueField } from './session-keys.ts';
import { parseRecord, renderRecord } from './session-record-text.ts';
import { SessionSeal } from './session-seal.ts';

/** What a store on Redis is made with. */
export interface RedisSessionStoreOptions {
  /** Stays the caller's: closing the store leaves it open. */
  readonly redis: RedisConnection;
  /** Seals what rests in Redis; all instances have its keys. */
  readonly box: SealedBox;
  readonly logger: Logger;
  /** How long a session lives without a `load`. */
  readonly idleTtlMs: number;
  /** Sessions of one principal; one more ends its longest-idle. */
  readonly maxPerPrincipal: number;
  /** Application values of one session together, keys included. Default 64 KiB. */
  readonly maxValueBytes?: number;
  /** Client info, capabilities and subscriptions of one session as JSON. Default 64 KiB. */
  readonly maxRecordBytes?: number;
  /** Records kept open in this process, some 2 KB each. Default 10,000; the ones opened first go first. */
  readonly maxOpenedRecords?: number;
  /**
   * A use so soon after the last one writes nothing, and counts as that one: by so much a session may be taken for idle
   * too early. Default a hundredth of the idle time, at most 1,000.
   */
  readonly sameUseMs?: number;
  /** How long what comes late for an ended session is refused. Default 15 minutes; not below the longest call. */
  readonly endedTtlMs?: number;
  /** Milliseconds since the epoch. Default: Redis's own clock, which all instances share. */
  readonly now?: () => number;
}

/** Instances that change one record at once: each waits for its own writers, and one of all wins each time. */
const maxReplaceAttempts = 50;

/**
 * Sessions in Redis, shared by all instances. A load is one round trip, and no decryption while the record is the one
 * that this instance opened last; all that happens in one step is one script.
 */
export function createRedisSessionStore(options: RedisSessionStoreOptions): SessionStore {
  return new RedisSessionStore(options);
}

class RedisSessionStore implements SessionStore {
  readonly #redis: RedisConnection;
  readonly #seal: SessionSeal;
  readonly #records: OwnRecords;
  readonly #opened: OpenedRecords;
  readonly #principals: PrincipalSessions;
  readonly #turns = createTurns();
  readonly #idleTtlMs: string;
  readonly #sameUseMs: string;
  readonly #endedTtlMs: string;
  readonly #maxValueBytes: number;
  readonly #now: (() => number) | undefined;
  #isClosed = false;

  constructor(options: RedisSessionStoreOptions) {
    this.#redis = options.redis;
    this.#seal = new SessionSeal(options.box, options.logger);
    this.#records = new OwnRecords(options.maxRecordBytes ?? 64 * 1024);
    this.#opened = new OpenedRecords(options.maxOpenedRecords ?? 10_000);
    this.#idleTtlMs = String(options.idleTtlMs);
    this.#sameUseMs = String(options.sameUseMs ?? Math.min(1000, Math.floor(options.idleTtlMs / 100)));
    this.#endedTtlMs = String(options.endedTtlMs ?? 15 * 60_000);
    this.#maxValueBytes = options.maxValueBytes ?? 64 * 1024;
    this.#now = options.now;
    this.#principals = new PrincipalSessions({
      redis: options.redis,
      maxPerPrincipal: options.maxPerPrincipal,
      clockArgs: () => this.#clockArgs(),
    });
  }

  async create(record: SessionRecord): Promise<readonly string[]> {
    if (!isSessionId(record.id))
      throw new TypeError('A session id is 1 to 128 visible characters, without braces.');
    const keys = toSessionKeys(this.#redis.prefix, record.id);
    const sealed = this.#sealRecord(this.#records.copy(record));
    const [isNew, crowd] = await Promise.all([
      this.#redis.runScript(
        createSession,
        [keys.session, keys.values, keys.ended],
        [...this.#clockArgs(), toDigits(record.expiresAt), sealed],
      ),
      this.#principals.add(record),
    ]);
    if (isNew !== 1) {
      await this.#principals.remove(record);
      throw new TypeError('A session with this id exists already.');
    }
    if (crowd.length === 0) return [];
    const evicted = await this.#principals.evict(record, crowd);
    const ended = await Promise.all(evicted.map((id) => this.end(id)));
    return evicted.filter((_, index) => ended[index] === true);
  }

  load(id: string): Promise<SessionRecord | undefined> {
    return this.#read(id, true);
  }

  update(id: string, change: (record: SessionRecord) => SessionChange | undefined): Promise<boolean> {
    // Writers of this instance wait for each other; against those elsewhere there are the attempts.
    return this.#turns(id, async () => {
      for (let attempt = 0; attempt < maxReplaceAttempts; attempt += 1) {
        const record = await this.#read(id, false);
        if (record === undefined) return false;
        const changed = change(record);
        if (changed === undefined) return true;
        const isReplaced = await this.#replace(record, { ...record, ...changed });
        if (isReplaced !== undefined) return isReplaced;
      }
      throw new UpstreamError('redis', 'Too many others are changing the session');
    });
  }

  async end(id: string): Promise<boolean> {
    if (!isSessionId(id)) return false;
    const keys = toSessionKeys(this.#redis.prefix, id);
    this.#opened.forget(id);
    const existed = await this.#redis.runScript(
      endSession,
      [keys.session, keys.values, keys.ended, keys.streams],
      [...this.#clockArgs(), this.#endedTtlMs, keys.streamPrefix, randomUUID()],
    );
    return existed === 1;
  }

  async readValue(id: string, key: string): Promise<SessionValue | undefined> {
    if (!isSessionId(id)) return undefined;
    const keys = toSessionKeys(this.#redis.prefix, id);
    const field = toValueField(id, key);
    const stored = await this.#redis.runScript(
      readSessionValue,
      [keys.session, keys.values],
      [...this.#clockArgs(), field],
    );
    if (typeof stored !== 'string') return undefined;
    const [version, , sealed] = stored.split(' ');
    const value = this.#seal.open('value', [id, field], sealed ?? '');
    return value === undefined ? undefined : { value, version: Number(version) };
  }

  async writeValue(
    id: string,
    key: string,
    value: string | undefined,
    expectedVersion: number,
  ): Promise<boolean> {
    if (!isSessionId(id)) return false;
    const keys = toSessionKeys(this.#redis.prefix, id);
    const field = toValueField(id, key);
    const bytes = toValueSize(key, value);
    // What is too large by itself is not even sent.
    if (bytes > this.#maxValueBytes) throw toValuesTooLarge(bytes, this.#maxValueBytes);
    const reply = await this.#redis.runScript(
      writeSessionValue,
      [keys.session, keys.values],
      [
        ...this.#clockArgs(),
        field,
        String(expectedVersion),
        value === undefined ? '' : this.#seal.seal('value', [id, field], value),
        String(bytes),
        String(this.#maxValueBytes),
      ],
    );
    if (typeof reply === 'string') throw toValuesTooLarge(Number(reply), this.#maxValueBytes);
    return reply === 1;
  }

  async check(): Promise<void> {
    if (this.#isClosed) throw new Error('The session store is closed.');
    await this.#redis.check();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#opened.clear();
  }

  async #read(id: string, isUse: boolean): Promise<SessionRecord | undefined> {
    if (!isSessionId(id)) return undefined;
    const keys = toSessionKeys(this.#redis.prefix, id);
    const known = this.#opened.find(id);
    const reply = await this.#redis.runScript(
      loadSession,
      [keys.session, keys.values],
      [...this.#clockArgs(), known?.tag ?? '', isUse ? this.#sameUseMs : ''],
    );
    if (reply === 1) return known?.record;
    if (typeof reply === 'string') return this.#open(id, reply);
    this.#opened.forget(id);
    return undefined;
  }

  /** @param text absolute end in 16 digits, then the sealed record */
  #open(id: string, text: string): SessionRecord | undefined {
    const sealed = text.slice(endDigits);
    const opened = this.#seal.open('record', [id], sealed);
    const parsed = opened === undefined ? undefined : parseRecord(id, opened);
    if (parsed === undefined) return undefined;
    // The end stands beside the record for the scripts, where it is not sealed.
    if (toDigits(parsed.expiresAt) !== text.slice(0, endDigits)) {
      this.#seal.reportTampered('record', id);
      return undefined;
    }
    const record = this.#records.copy(parsed);
    this.#opened.keep(id, { tag: toTag(sealed), record });
    return record;
  }

  /** @returns whether the session still existed; `undefined` when another writer was first */
  async #replace(before: SessionRecord, after: SessionRecord): Promise<boolean | undefined> {
    const { id } = before;
    const known = this.#opened.find(id);
    // Another reader of this instance came upon a later one.
    if (known?.record !== before) return undefined;
    const record = this.#records.copy(after);
    const sealed = this.#sealRecord(record);
    const keys = toSessionKeys(this.#redis.prefix, id);
    const reply = await this.#redis.runScript(
      replaceSession,
      [keys.session, keys.values],
      [...this.#clockArgs(), known.tag, sealed, toDigits(record.expiresAt)],
    );
    if (reply === 0) return undefined;
    if (reply !== 1) return false;
    this.#opened.keep(id, { tag: toTag(sealed), record });
    return true;
  }

  #sealRecord(record: SessionRecord): string {
    return this.#seal.seal('record', [record.id], renderRecord(record));
  }

  #clockArgs(): readonly [now: string, idleTtlMs: string] {
    return [this.#now === undefined ? '' : String(this.#now()), this.#idleTtlMs];
  }
}

const endDigits = 16;

/** In as many digits as any moment takes, so that the clocks of a session change in place. */
function toDigits(moment: number): string {
  return String(Math.min(moment, Number.MAX_SAFE_INTEGER)).padStart(endDigits, '0');
}
