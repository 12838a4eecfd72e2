/**
 * The engine's memory, on our store: ids hashed and payloads sealed, codes redeemed once however many redeem them, and a
 * moment's grace for refresh tokens, which real clients redeem twice at once.
 */
import { createHash } from 'node:crypto';
import type { Adapter, AdapterPayload } from 'oidc-provider';
import type { OauthRecord, OauthStore } from '../auth/oauth-store.ts';
import type { SealedBox } from '../mcp/sealed-box.ts';
import type { OauthClients } from './oauth-clients.ts';

/** What the adapters share. */
export interface ProviderAdapterOptions {
  readonly store: OauthStore;
  readonly box: SealedBox;
  readonly clients: OauthClients;
  /** How long a refresh token that was redeemed may be redeemed again. RFC 9700, section 4.14.2, allows a grace. */
  readonly refreshGraceMs: number;
  /** Told of every grant that ends: access tokens that came of it are not in the store, and must be revoked. */
  readonly onGrantEnded: (grantId: string) => Promise<void>;
  /** Makes what is thrown when something that may be used once is used again. */
  readonly toUsedError: (model: string) => Error;
  readonly now: () => number;
}

/** Longest life of what has none of its own, in seconds: a client's registration lives elsewhere. */
const maxLifeSeconds = 400 * 24 * 3600;

/** The engine's name for proofs, of clients and of keys, that were presented: each is good once. */
export const proofModel = 'ReplayDetection';

type EndGrant = (grantId: string) => Promise<void>;

/** An adapter for each of the engine's models. */
export function createProviderAdapters(options: ProviderAdapterOptions): (model: string) => Adapter {
  const endGrant = createEndGrant(options);
  return (model) =>
    model === 'Client' ? createClientAdapter(options.clients) : createAdapter(model, options, endGrant);
}

/** The engine asks each of its models to end a grant: those that it asks meanwhile need not do it again. */
function createEndGrant({ store, onGrantEnded }: ProviderAdapterOptions): EndGrant {
  const ending = new Map<string, Promise<void>>();
  const end = async (grantId: string): Promise<void> => {
    // First what is told to all instances: a token must not outlive the record that says where it came from.
    await onGrantEnded(grantId);
    await store.removeByGrant(grantId);
  };
  return (grantId) => {
    const running = ending.get(grantId) ?? end(grantId).finally(() => ending.delete(grantId));
    ending.set(grantId, running);
    return running;
  };
}

function createAdapter(
  model: string,
  { store, box, refreshGraceMs, toUsedError, now }: ProviderAdapterOptions,
  endGrant: EndGrant,
): Adapter {
  const isRefreshToken = model === 'RefreshToken';
  const isProof = model === proofModel;

  const open = (record: OauthRecord | undefined): AdapterPayload | undefined => {
    if (record === undefined) return undefined;
    const text = box.open(record.sealedPayload, toRecordBinding(model, record.idHash));
    // One that was altered, or whose key is gone, is as good as none.
    if (text === undefined) return undefined;
    const payload = JSON.parse(text) as AdapterPayload;
    const { consumedAt } = record;
    const isSpent = consumedAt !== undefined && !(isRefreshToken && now() - consumedAt <= refreshGraceMs);
    return isSpent ? { ...payload, consumed: Math.floor(consumedAt / 1000) } : payload;
  };

  return {
    upsert: async (id, payload, expiresIn) => {
      const idHash = toIdHash(id);
      const lifeSeconds = Math.min(expiresIn ?? maxLifeSeconds, maxLifeSeconds);
      const { grantId, uid, userCode } = payload;
      const record: OauthRecord = {
        model,
        idHash,
        sealedPayload: box.seal(JSON.stringify(payload), {
          ...toRecordBinding(model, idHash),
          ttlSeconds: Math.max(lifeSeconds, 1),
        }),
        expiresAt: now() + lifeSeconds * 1000,
        ...(grantId === undefined ? {} : { grantId }),
        ...(uid === undefined ? {} : { uid }),
        ...(userCode === undefined ? {} : { userCode }),
      };
      if (!isProof) await store.upsert(record);
      // The engine looks for it, then adds it: of several at once it finds none for each.
      else if (!(await store.insert(record))) throw toUsedError(model);
    },
    find: async (id) => open(await store.find(model, toIdHash(id), now())),
    findByUid: async (uid) => open(await store.findByUid(model, uid, now())),
    // The device grant is not offered.
    findByUserCode: () => Promise.resolve(undefined),
    consume: async (id) => {
      const isFirst = await store.consume(model, toIdHash(id), now());
      // A refresh token found a moment ago is within its grace: `find` would have said that it is spent.
      if (!isFirst && !isRefreshToken) throw toUsedError(model);
    },
    destroy: async (id) => {
      await store.remove(model, toIdHash(id));
      if (model === 'Grant') await endGrant(id);
    },
    revokeByGrantId: endGrant,
  };
}

function createClientAdapter(clients: OauthClients): Adapter {
  return {
    upsert: async (id, payload) => {
      await clients.insert(id, payload);
    },
    find: (id) => clients.find(id),
    findByUid: () => Promise.resolve(undefined),
    findByUserCode: () => Promise.resolve(undefined),
    consume: () => Promise.resolve(),
    destroy: () => Promise.resolve(),
    revokeByGrantId: () => Promise.resolve(),
  };
}

/** Under which an id rests: whoever reads the store cannot redeem what they find. */
export function toIdHash(id: string): string {
  return createHash('sha256').update(id).digest('hex');
}

/** What the content of a record is sealed with: it opens as that record alone. */
export function toRecordBinding(
  model: string,
  idHash: string,
): { readonly purpose: string; readonly boundTo: string } {
  return { purpose: 'oauth-record', boundTo: `${model}:${idHash}` };
}
