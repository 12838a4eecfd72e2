import type { OauthStore } from '../auth/oauth-store.ts';
import type { SealedBox } from '../mcp/sealed-box.ts';
import { toIdHash, toRecordBinding } from './provider-adapter.ts';

/** For which tenant a user allowed a client to act: the engine's grants have no place for it. */
export interface GrantTenants {
  insert(grantId: string, tenantId: string): Promise<void>;
  find(grantId: string): Promise<string | undefined>;
}

const model = 'GrantTenant';
const ttlSeconds = 400 * 24 * 3600;

/** Beside the grants, and removed with them. */
export function createGrantTenants(store: OauthStore, box: SealedBox, now: () => number): GrantTenants {
  return {
    insert: (grantId, tenantId) => {
      const idHash = toIdHash(grantId);
      return store.upsert({
        model,
        idHash,
        grantId,
        sealedPayload: box.seal(tenantId, { ...toRecordBinding(model, idHash), ttlSeconds }),
        expiresAt: now() + ttlSeconds * 1000,
      });
    },
    find: async (grantId) => {
      const idHash = toIdHash(grantId);
      const record = await store.find(model, idHash, now());
      return record === undefined
        ? undefined
        : box.open(record.sealedPayload, toRecordBinding(model, idHash));
    },
  };
}
