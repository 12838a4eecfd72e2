import type { Role } from './principal.ts';

/** An API key as it is kept. The key itself is not: only a hash of it, and a hint a person can recognise it by. */
export interface ApiKey {
  readonly id: string;
  readonly tenantId: string;
  /** For people; need not be unique. */
  readonly name: string;
  readonly scopes: readonly string[];
  readonly role: Role;
  /** False while switched off; can be switched on again, unlike a revoked key. */
  readonly isActive: boolean;
  /** The first key of the rotation chain; a first key names itself. Sessions are bound to this. */
  readonly lineageId: string;
  /** The key's prefix and last four characters, for recognition. */
  readonly hint: string;
  /** Milliseconds since the epoch, as are all times here. */
  readonly createdAt: number;
  /** Who made it: a principal key, or `operator` for the command line. */
  readonly createdBy?: string;
  /** Refused from then on; absent means never. */
  readonly expiresAt?: number;
  /** Written in batches: up to half a minute behind. */
  readonly lastUsedAt?: number;
  /** The key this one replaces. */
  readonly rotatedFrom?: string;
  /** Set when the key was replaced: it works beside its successor until then. */
  readonly graceUntil?: number;
  /** Set when the key was revoked, for good. */
  readonly revokedAt?: number;
  /** Grows with every change of any key in the store, so that another process can ask what changed since. */
  readonly revision: number;
}

/** What a key is worth at one moment. `overlapping` still works; of the others only `active` does. */
export type ApiKeyState = 'active' | 'overlapping' | 'replaced' | 'inactive' | 'expired' | 'revoked';

/** The state of a key at `now`. */
export function toKeyState(key: ApiKey, now: number): ApiKeyState {
  if (key.revokedAt !== undefined) return 'revoked';
  if (key.expiresAt !== undefined && now >= key.expiresAt) return 'expired';
  if (key.graceUntil !== undefined && now >= key.graceUntil) return 'replaced';
  if (!key.isActive) return 'inactive';
  return key.graceUntil === undefined ? 'active' : 'overlapping';
}

/** Whether a request that presents this key at `now` is accepted. */
export function isKeyUsable(key: ApiKey, now: number): boolean {
  const state = toKeyState(key, now);
  return state === 'active' || state === 'overlapping';
}

/** When the key ends by itself: its expiry or the end of its overlap, whichever is first; `undefined` for never. */
export function toKeyEnd(key: ApiKey): number | undefined {
  if (key.expiresAt === undefined) return key.graceUntil;
  return key.graceUntil === undefined ? key.expiresAt : Math.min(key.expiresAt, key.graceUntil);
}
