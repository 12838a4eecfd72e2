import type { PagePosition } from './api-key-store.ts';

/** A customer: whom keys, sessions and data belong to. */
export interface Tenant {
  /** 1 to 128 of `A-Z a-z 0-9 . _ : -`; a UUID unless given. */
  readonly id: string;
  /** For people; need not be unique. */
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** Where tenants are kept. Each method throws `UpstreamError` when the store cannot be reached. */
export interface TenantStore {
  /** @returns false when the id is taken */
  insert(tenant: Tenant): Promise<boolean>;
  findById(id: string): Promise<Tenant | undefined>;
  /** Tenants of this exact name, oldest first, at most `limit`. */
  findByName(name: string, limit: number): Promise<readonly Tenant[]>;
  /** All tenants, oldest first, at most `limit`. */
  list(limit: number, after?: PagePosition): Promise<readonly Tenant[]>;
}
