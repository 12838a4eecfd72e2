import { randomBytes, randomUUID } from 'node:crypto';
import { RequestError } from '../errors.ts';
import { type ApiKey, toKeyState } from './api-key.ts';
import type { ApiKeyChange, ApiKeyStore, NewApiKey } from './api-key-store.ts';
import { createKeySecret, toKeyHash, toKeyHint } from './key-secret.ts';
import { assertMayManage, assertNotStronger, isRaised, type KeyStrength } from './key-strength.ts';
import { parseCursor, toCursor } from './page-cursor.ts';
import { type Principal, type Role, toPrincipalKey } from './principal.ts';
import type { TenantStore } from './tenant-store.ts';

/** Most keys of one tenant that are neither revoked, nor expired, nor replaced. */
export const maxKeysPerTenant = 1000;
/** How long a replaced key works beside its successor unless told otherwise: a day. */
export const defaultOverlapSeconds: number = 24 * 60 * 60;
/** Longest overlap: 30 days. */
export const maxOverlapSeconds: number = 30 * 24 * 60 * 60;
/** Keys on one page unless told otherwise. */
export const defaultPageSize = 50;
/** Most keys on one page. */
export const maxPageSize = 200;

const maxAttempts = 5;

/** Who asks: a caller over HTTP with its limits, or the operator at the command line, who has none. */
export type KeyActor =
  | { readonly kind: 'principal'; readonly principal: Principal }
  | { readonly kind: 'operator' };

/** What a new key shall be. */
export interface KeyInput {
  readonly tenantId: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly role: Role;
  /** Default: the creator's own expiry, or never. */
  readonly expiresAt?: number;
}

/** What to change in a key; what is absent stays. */
export interface KeyUpdate {
  readonly name?: string;
  readonly scopes?: readonly string[];
  readonly role?: Role;
  readonly isActive?: boolean;
  /** `null`: never. */
  readonly expiresAt?: number | null;
}

/** How to replace a key. */
export interface RotateOptions {
  /** How long the old key still works: default a day, 0 for not at all, at most 30 days. */
  readonly overlapSeconds?: number;
  /** Expiry of the new key. Default: that of the old one. */
  readonly expiresAt?: number;
}

/** A key that was just made, and its secret: the only time it is ever seen. */
export interface MintedKey {
  readonly key: ApiKey;
  readonly secret: string;
}

/** One page of a tenant's keys, oldest first. */
export interface KeyPage {
  readonly keys: readonly ApiKey[];
  /** Absent on the last page. */
  readonly nextCursor?: string;
}

/** What the service needs. */
export interface KeyServiceOptions {
  readonly keys: ApiKeyStore;
  readonly tenants: TenantStore;
  /** First part of new keys, `[a-z][a-z0-9]{0,15}`. Default `mooring`. */
  readonly prefix?: string;
  readonly now?: () => number;
  readonly randomBytes?: (size: number) => Uint8Array;
}

/**
 * The life of API keys. Never makes a key stronger than who makes it, by creation, change or rotation; another
 * tenant's key is answered as if it did not exist.
 *
 * Every method throws `RequestError`: `not_found`, `forbidden`, `conflict` or `request_invalid`; and
 * `UpstreamError` when the store cannot be reached.
 */
export class KeyService {
  readonly #keys: ApiKeyStore;
  readonly #tenants: TenantStore;
  readonly #prefix: string;
  readonly #now: () => number;
  readonly #randomBytes: (size: number) => Uint8Array;

  constructor(options: KeyServiceOptions) {
    this.#keys = options.keys;
    this.#tenants = options.tenants;
    this.#prefix = options.prefix ?? 'mooring';
    this.#now = options.now ?? Date.now;
    this.#randomBytes = options.randomBytes ?? randomBytes;
  }

  async create(actor: KeyActor, input: KeyInput): Promise<MintedKey> {
    const unknownTenant = toUnknownTenant(input.tenantId);
    if (actor.kind === 'principal') assertMayManage(actor.principal, input.tenantId, unknownTenant);
    const expiresAt = input.expiresAt ?? (actor.kind === 'principal' ? actor.principal.expiresAt : undefined);
    this.#assertFuture(expiresAt);
    assertMayMake(actor, { ...input, isActive: true, ...(expiresAt !== undefined && { expiresAt }) });
    if ((await this.#tenants.findById(input.tenantId)) === undefined)
      throw new RequestError('not_found', unknownTenant);
    if ((await this.#keys.count(input.tenantId, this.#now())) >= maxKeysPerTenant) {
      throw new RequestError(
        'conflict',
        `This tenant has ${maxKeysPerTenant} API keys, the most there can be: revoke some first`,
      );
    }
    const { draft, secret } = this.#draft(actor, { ...input, ...(expiresAt !== undefined && { expiresAt }) });
    return { key: await this.#keys.insert(draft, toKeyHash(secret)), secret };
  }

  async list(
    actor: KeyActor,
    page: { readonly tenantId: string; readonly limit?: number; readonly cursor?: string },
  ): Promise<KeyPage> {
    const unknownTenant = toUnknownTenant(page.tenantId);
    if (actor.kind === 'principal') assertMayManage(actor.principal, page.tenantId, unknownTenant);
    const limit = Math.min(Math.max(page.limit ?? defaultPageSize, 1), maxPageSize);
    const after = page.cursor === undefined ? undefined : parseCursor(page.cursor);
    const found = await this.#keys.list(page.tenantId, limit + 1, after);
    if (found.length === 0 && (await this.#tenants.findById(page.tenantId)) === undefined) {
      throw new RequestError('not_found', unknownTenant);
    }
    const keys = found.slice(0, limit);
    const last = keys.at(-1);
    return found.length > limit && last !== undefined ? { keys, nextCursor: toCursor(last) } : { keys };
  }

  /** One key of a tenant the actor may manage. */
  async load(actor: KeyActor, id: string): Promise<ApiKey> {
    const key = await this.#keys.findById(id);
    if (key === undefined) throw new RequestError('not_found', unknownKey);
    if (actor.kind === 'principal') assertMayManage(actor.principal, key.tenantId, unknownKey);
    return key;
  }

  async update(actor: KeyActor, id: string, update: KeyUpdate): Promise<ApiKey> {
    const { expiresAt, ...rest } = update;
    if (expiresAt !== null) this.#assertFuture(expiresAt);
    const change: ApiKeyChange = {
      ...rest,
      ...(expiresAt !== undefined && { expiresAt: expiresAt ?? undefined }),
    };
    return this.#attempt(actor, id, (key) => {
      if (key.revokedAt !== undefined)
        throw new RequestError('conflict', 'This API key is revoked: create a new one');
      const after = toStrength(key, change);
      if (isRaised(after, key)) assertMayMake(actor, after);
      return this.#keys.update(key, change);
    });
  }

  /** Makes a successor with the same rights; the old key works beside it for the overlap. */
  async rotate(actor: KeyActor, id: string, options: RotateOptions = {}): Promise<MintedKey> {
    const overlapSeconds = options.overlapSeconds ?? defaultOverlapSeconds;
    if (!Number.isInteger(overlapSeconds) || overlapSeconds < 0 || overlapSeconds > maxOverlapSeconds) {
      throw new RequestError(
        'request_invalid',
        `overlapSeconds must be a whole number from 0 to ${maxOverlapSeconds}`,
      );
    }
    this.#assertFuture(options.expiresAt);
    let secretOfSuccessor = '';
    const key = await this.#attempt(actor, id, (old) => {
      this.#assertRotatable(old);
      const expiresAt = options.expiresAt ?? old.expiresAt;
      const { draft, secret } = this.#draft(actor, {
        tenantId: old.tenantId,
        name: old.name,
        scopes: old.scopes,
        role: old.role,
        ...(expiresAt !== undefined && { expiresAt }),
      });
      assertMayMake(actor, draft);
      secretOfSuccessor = secret;
      const successor: NewApiKey = { ...draft, lineageId: old.lineageId, rotatedFrom: old.id };
      return this.#keys.rotate(old, this.#now() + overlapSeconds * 1000, successor, toKeyHash(secret));
    });
    return { key, secret: secretOfSuccessor };
  }

  /** Ends a key at once and for good. Revoking a revoked key changes nothing. */
  async revoke(actor: KeyActor, id: string): Promise<ApiKey> {
    return this.#attempt(actor, id, (key) =>
      key.revokedAt === undefined
        ? this.#keys.update(key, { isActive: false, revokedAt: this.#now() })
        : Promise.resolve(key),
    );
  }

  /** Checks and writes as one: what was checked is what is written over, or it is all done again. */
  async #attempt(
    actor: KeyActor,
    id: string,
    write: (key: ApiKey) => Promise<ApiKey | undefined>,
  ): Promise<ApiKey> {
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const written = await write(await this.load(actor, id));
      if (written !== undefined) return written;
    }
    throw new RequestError('conflict', 'This API key is being changed by others: try again');
  }

  #draft(actor: KeyActor, input: KeyInput): { draft: NewApiKey; secret: string } {
    const id = randomUUID();
    const secret = createKeySecret(this.#prefix, this.#randomBytes);
    const draft: NewApiKey = {
      id,
      tenantId: input.tenantId,
      name: input.name,
      scopes: input.scopes,
      role: input.role,
      isActive: true,
      lineageId: id,
      hint: toKeyHint(secret),
      createdAt: this.#now(),
      createdBy: actor.kind === 'operator' ? 'operator' : toPrincipalKey(actor.principal),
      ...(input.expiresAt !== undefined && { expiresAt: input.expiresAt }),
    };
    return { draft, secret };
  }

  #assertRotatable(key: ApiKey): void {
    const state = toKeyState(key, this.#now());
    if (key.graceUntil !== undefined) {
      throw new RequestError('conflict', 'This API key was already rotated: rotate its successor');
    }
    if (state !== 'active')
      throw new RequestError('conflict', `This API key is ${state} and cannot be rotated`);
  }

  #assertFuture(expiresAt: number | undefined): void {
    if (expiresAt !== undefined && expiresAt <= this.#now()) {
      throw new RequestError(
        'request_invalid',
        'expiresAt must be in the future; to end a key now, revoke it',
      );
    }
  }
}

const unknownKey = 'Unknown API key';

function toUnknownTenant(tenantId: string): string {
  return `Unknown tenant: ${tenantId}`;
}

function assertMayMake(actor: KeyActor, strength: KeyStrength): void {
  if (actor.kind === 'principal') assertNotStronger(strength, actor.principal);
}

function toStrength(key: ApiKey, change: ApiKeyChange): KeyStrength {
  const expiresAt = 'expiresAt' in change ? change.expiresAt : key.expiresAt;
  return {
    tenantId: key.tenantId,
    scopes: change.scopes ?? key.scopes,
    role: change.role ?? key.role,
    isActive: change.isActive ?? key.isActive,
    ...(expiresAt !== undefined && { expiresAt }),
  };
}
