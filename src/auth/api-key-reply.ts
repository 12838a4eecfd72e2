import { type ApiKey, type ApiKeyState, toKeyState } from './api-key.ts';

/** An API key as callers and the command line see it: everything but its hash. Times are ISO 8601. */
export interface ApiKeyReply {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  readonly hint: string;
  readonly state: ApiKeyState;
  readonly isActive: boolean;
  readonly role: string;
  readonly scopes: readonly string[];
  readonly createdAt: string;
  readonly createdBy?: string;
  readonly expiresAt?: string;
  readonly lastUsedAt?: string;
  readonly rotatedFrom?: string;
  readonly graceUntil?: string;
  readonly revokedAt?: string;
  readonly lineageId: string;
}

/** What is told of a key. */
export function toApiKeyReply(key: ApiKey, now: number): ApiKeyReply {
  return {
    id: key.id,
    tenantId: key.tenantId,
    name: key.name,
    hint: key.hint,
    state: toKeyState(key, now),
    isActive: key.isActive,
    role: key.role,
    scopes: key.scopes,
    createdAt: toMoment(key.createdAt),
    lineageId: key.lineageId,
    ...(key.createdBy !== undefined && { createdBy: key.createdBy }),
    ...(key.expiresAt !== undefined && { expiresAt: toMoment(key.expiresAt) }),
    ...(key.lastUsedAt !== undefined && { lastUsedAt: toMoment(key.lastUsedAt) }),
    ...(key.rotatedFrom !== undefined && { rotatedFrom: key.rotatedFrom }),
    ...(key.graceUntil !== undefined && { graceUntil: toMoment(key.graceUntil) }),
    ...(key.revokedAt !== undefined && { revokedAt: toMoment(key.revokedAt) }),
  };
}

function toMoment(time: number): string {
  return new Date(time).toISOString();
}
