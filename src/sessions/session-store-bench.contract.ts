import type { SessionRecord, SessionStore } from './session-store.ts';

/** What the suite asks of a maker. */
export interface SessionStoreLimits {
  readonly idleTtlMs: number;
  readonly maxPerPrincipal: number;
  readonly maxValueBytes: number;
  readonly maxRecordBytes: number;
  /** The suite's clock; a maker that keeps its time elsewhere must still go by this one. */
  readonly now: () => number;
}

/**
 * Opens an empty store.
 *
 * @returns doors to the same sessions, one per instance; a single one where sessions are not shared
 */
export type MakeSessionStore = (
  limits: SessionStoreLimits,
) => Promise<readonly [SessionStore, ...SessionStore[]]>;

/** The bounds that the suite opens every store with. */
export const suiteLimits = {
  idleTtlMs: 10_000,
  maxPerPrincipal: 3,
  maxValueBytes: 4096,
  maxRecordBytes: 8192,
} as const;

/** A store under test and the clock it goes by. */
export interface SessionStoreBench {
  readonly first: SessionStore;
  /** Another instance's door, where there is one. */
  readonly last: SessionStore;
  readonly doors: readonly SessionStore[];
  now(): number;
  advance(ms: number): void;
}

/** Opens a store on a clock that only the test moves. */
export async function openBench(make: MakeSessionStore): Promise<SessionStoreBench> {
  let time = 1_800_000_000_000;
  const now = (): number => time;
  const doors = await make({ ...suiteLimits, now });
  return {
    first: doors[0],
    last: doors.at(-1) ?? doors[0],
    doors,
    now,
    advance: (ms) => {
      time += ms;
    },
  };
}

/** A record that expires long after it would be idle, unless told otherwise. */
export function toRecord(id: string, now: number, parts: Partial<SessionRecord> = {}): SessionRecord {
  return {
    id,
    principalKey: 'key:alice@acme',
    tenantId: 'acme',
    credentialId: 'key_1',
    protocolVersion: '2025-11-25',
    clientInfo: { name: 'client', version: '1.0.0' },
    clientCapabilities: { elicitation: { form: {} } },
    subscriptions: [],
    createdAt: now,
    expiresAt: now + 100 * suiteLimits.idleTtlMs,
    ...parts,
  };
}
