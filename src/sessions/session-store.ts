import type { ClientCapabilities, Implementation, LoggingLevel } from '../mcp/protocol-types.ts';

/** What is remembered of one legacy (2025) MCP session between its requests. Plain data: it may live in another process. */
export interface SessionRecord {
  /** 0x21-0x7E only, at least 128 random bits. MCP 2025-11-25, Transports, Session Management, item 1. */
  readonly id: string;
  /** Whose it is; see `toPrincipalKey`. */
  readonly principalKey: string;
  readonly tenantId: string;
  /** The credential that opened it. */
  readonly credentialId: string;
  /** As negotiated, not as asked for. */
  readonly protocolVersion: string;
  readonly clientInfo: Implementation;
  readonly clientCapabilities: ClientCapabilities;
  /** Set by `logging/setLevel`; absent means every level. */
  readonly logLevel?: LoggingLevel;
  /** Resource URIs, in the order of `resources/subscribe`. */
  readonly subscriptions: readonly string[];
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Milliseconds since the epoch: the absolute end, however busy the session is. */
  readonly expiresAt: number;
}

/** What a request may change in a record; its end moves only later, with a newer token of the same principal. */
export type SessionChange = Partial<Pick<SessionRecord, 'logLevel' | 'subscriptions' | 'expiresAt'>>;

/** One application value of a session, with the version that a compare-and-swap needs: never the same twice in a session. */
export interface SessionValue {
  /** JSON text. */
  readonly value: string;
  readonly version: number;
}

/**
 * Where legacy sessions are kept. Idle time, absolute end and the cap per principal are enforced here, so that
 * every maker behaves alike.
 */
export interface SessionStore {
  /**
   * Keeps a new session. When its principal then has more than the cap, the longest-idle others are ended.
   *
   * @returns ids that were evicted, so that their streams can be closed; expired ones are not told
   * @throws RangeError when what the client says of itself exceeds the store's bound; nothing is kept
   * @throws TypeError when the id is that of a living session
   */
  create(record: SessionRecord): Promise<readonly string[]>;
  /**
   * The record, with its idle clock restarted; `undefined` when unknown, ended or expired. Nothing else restarts the
   * clock. The record may be frozen; nothing done to it reaches the store.
   */
  load(id: string): Promise<SessionRecord | undefined>;
  /**
   * Changes the record as it is at that moment: of changes made at once, on whichever instances, each starts from what
   * the one before it left. Does not restart the idle clock.
   *
   * @param change from the present record, which it must not change; `undefined` leaves it as it is. Called again when
   *   another writer was first. What it throws rejects the update
   * @returns whether the session still existed
   * @throws RangeError when the record would exceed the store's bound; nothing is changed
   */
  update(id: string, change: (record: SessionRecord) => SessionChange | undefined): Promise<boolean>;
  /** Forgets the session and its application values. @returns whether it existed */
  end(id: string): Promise<boolean>;
  /** One application value; `undefined` when absent or the session is gone. */
  readValue(id: string, key: string): Promise<SessionValue | undefined>;
  /**
   * Writes one application value if its version is still `expectedVersion` (0: must not exist yet).
   *
   * @param value JSON text, or `undefined` to remove it
   * @returns false when another writer was first, or the session is gone
   * @throws RangeError when the session's values together would exceed the store's bound; keys count, and each value
   *   something more, so that many tiny ones are bounded too
   */
  writeValue(id: string, key: string, value: string | undefined, expectedVersion: number): Promise<boolean>;
  /** Resolves when the store can serve; rejects when it cannot. */
  check(): Promise<void>;
  close(): Promise<void>;
}
