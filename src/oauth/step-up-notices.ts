import type { OauthStore } from '../auth/oauth-store.ts';
import { toIdHash } from './provider-adapter.ts';

/**
 * Grants that were just told to have too few scopes. Some clients (the SDK's of version 1) answer that by refreshing
 * their token, which cannot help, and give up when the new one has no more than the old: told at once that it cannot
 * help, they send the user to us.
 */
export interface StepUpNotices {
  /** Notes that a request with a token of this grant was refused for its scopes. */
  insert(grantId: string): Promise<void>;
  /** @returns whether there was such a refusal in the last seconds; once for each */
  take(grantId: string): Promise<boolean>;
}

const model = 'StepUpNotice';
/** A client that reacts does so at once; one that refreshes later has another reason. */
const ttlMs = 5_000;

/** Shared by all instances: the refusal and the refresh may reach different ones. */
export function createStepUpNotices(store: OauthStore, now: () => number): StepUpNotices {
  return {
    insert: (grantId) =>
      store.upsert({
        model,
        idHash: toIdHash(grantId),
        sealedPayload: '',
        grantId,
        expiresAt: now() + ttlMs,
      }),
    take: (grantId) => store.consume(model, toIdHash(grantId), now()),
  };
}
