import { randomBytes } from 'node:crypto';
import type { OauthStore } from '../auth/oauth-store.ts';
import type { SealedBox } from '../mcp/sealed-box.ts';
import { toIdHash, toRecordBinding } from './provider-adapter.ts';
import type { UpstreamSecrets } from './upstream-provider.ts';

/** Browsers that were sent to another provider and are not back yet. */
export interface UpstreamAttempts {
  /** Begins one for an interaction. */
  begin(uid: string): Promise<UpstreamSecrets>;
  /** The interaction for which this `state` was made, while nobody has come back with it. */
  findInteraction(state: string): Promise<string | undefined>;
  /** Takes an attempt back, once: of several at the same time one gets it. */
  take(state: string): Promise<{ readonly uid: string; readonly secrets: UpstreamSecrets } | undefined>;
}

const model = 'UpstreamAttempt';
/** How long a person may take to sign in elsewhere. */
const ttlSeconds = 600;
const secretBytes = 32;

/** Kept beside what the authorization server remembers; the `state` itself rests as a hash. */
export function createUpstreamAttempts(
  store: OauthStore,
  box: SealedBox,
  now: () => number,
): UpstreamAttempts {
  const find = async (
    state: string,
  ): Promise<{ readonly uid: string; readonly secrets: UpstreamSecrets } | undefined> => {
    const idHash = toIdHash(state);
    const record = await store.find(model, idHash, now());
    if (record === undefined || record.consumedAt !== undefined) return undefined;
    const text = box.open(record.sealedPayload, toRecordBinding(model, idHash));
    if (text === undefined) return undefined;
    const { uid, nonce, verifier } = JSON.parse(text) as Readonly<
      Record<'uid' | 'nonce' | 'verifier', string>
    >;
    return { uid, secrets: { state, nonce, verifier } };
  };
  return {
    begin: async (uid) => {
      const secrets = { state: createSecret(), nonce: createSecret(), verifier: createSecret() };
      const idHash = toIdHash(secrets.state);
      const { nonce, verifier } = secrets;
      await store.upsert({
        model,
        idHash,
        sealedPayload: box.seal(JSON.stringify({ uid, nonce, verifier }), {
          ...toRecordBinding(model, idHash),
          ttlSeconds,
        }),
        expiresAt: now() + ttlSeconds * 1000,
      });
      return secrets;
    },
    findInteraction: async (state) => (await find(state))?.uid,
    take: async (state) => {
      const found = await find(state);
      if (found === undefined) return undefined;
      return (await store.consume(model, toIdHash(state), now())) ? found : undefined;
    },
  };
}

function createSecret(): string {
  return randomBytes(secretBytes).toString('base64url');
}
