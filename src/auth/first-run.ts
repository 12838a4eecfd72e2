import { randomUUID } from 'node:crypto';
import type { ApiKey } from './api-key.ts';
import type { NewApiKey } from './api-key-store.ts';
import { createKeySecret, toKeyHash, toKeyHint } from './key-secret.ts';
import type { Tenant } from './tenant-store.ts';

/** The one question of a first run, answered for all starters as one. */
export interface FirstRunStore {
  /**
   * Stores the first tenant and its key, both or neither.
   *
   * @returns the key as stored, or `undefined` when there is a tenant already, or another starter was first
   * @throws UpstreamError when the store cannot be reached
   */
  insertFirst(tenant: Tenant, key: NewApiKey, hash: string): Promise<ApiKey | undefined>;
}

/** What a first run made. */
export interface FirstRun {
  readonly tenant: Tenant;
  readonly key: ApiKey;
  /** The key itself, seen only now. */
  readonly secret: string;
}

/**
 * Makes an empty store usable: a tenant named `default` and an API key that may do everything in it.
 *
 * @param options.prefix first part of the key. Default `mooring`
 * @returns what was made, or `undefined` when there was a tenant already. Of several processes that start at once,
 *   one makes it
 */
export async function ensureFirstTenantAndKey(
  store: FirstRunStore,
  options: { readonly prefix?: string; readonly now?: () => number } = {},
): Promise<FirstRun | undefined> {
  const createdAt = (options.now ?? Date.now)();
  const tenant: Tenant = { id: randomUUID(), name: 'default', createdAt };
  const secret = createKeySecret(options.prefix ?? 'mooring');
  const id = randomUUID();
  const key = await store.insertFirst(
    tenant,
    {
      id,
      tenantId: tenant.id,
      name: 'first key',
      scopes: ['*'],
      role: 'tenant_developer',
      isActive: true,
      lineageId: id,
      hint: toKeyHint(secret),
      createdAt,
      createdBy: 'operator',
    },
    toKeyHash(secret),
  );
  return key === undefined ? undefined : { tenant, key, secret };
}
