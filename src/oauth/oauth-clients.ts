/**
 * Clients, those that an operator made and those that registered themselves. Real ones register on every connect and never say that they are gone: the same
 * registration is the same client, and one that nobody used for long is forgotten.
 */
import { createHash, randomUUID } from 'node:crypto';
import type { AdapterPayload } from 'oidc-provider';
import {
  isServiceClientId,
  type ServiceClient,
  type ServiceClientStore,
} from '../auth/clients/service-client-store.ts';
import type { OauthStore } from '../auth/oauth-store.ts';
import type { SealedBox } from '../mcp/sealed-box.ts';
import { jwtBearerGrant } from './grants/identity-assertion-grant.ts';

/** Metadata of a client. RFC 7591, section 2. */
export type ClientMetadata = Readonly<Record<string, unknown>>;

/** Registered clients. Each method throws `UpstreamError` when the store cannot be reached. */
export interface OauthClients {
  insert(id: string, metadata: ClientMetadata): Promise<void>;
  find(id: string): Promise<AdapterPayload | undefined>;
  /** Writes down which clients were used. */
  flush(): Promise<void>;
}

/** What clients are kept in. */
export interface OauthClientsOptions {
  readonly store: OauthStore;
  /** Those that an operator made. */
  readonly serviceClients: Pick<ServiceClientStore, 'findById'>;
  readonly box: SealedBox;
  readonly now: () => number;
}

/** Sealed for as long as a registration may rest. */
const sealSeconds = 10 * 365 * 24 * 3600;
/** Most uses that wait to be written down. */
const maxNoted = 10_000;

/** Over one store. */
export function createOauthClients({ store, serviceClients, box, now }: OauthClientsOptions): OauthClients {
  const used = new Map<string, number>();
  return {
    insert: async (id, metadata) => {
      await store.insertClient({
        id,
        metadata: box.seal(JSON.stringify(metadata), { ...toBinding(id), ttlSeconds: sealSeconds }),
        fingerprint: toHash(id),
        createdAt: now(),
        lastUsedAt: now(),
      });
    },
    find: async (id) => {
      if (isServiceClientId(id)) {
        const service = await serviceClients.findById(id);
        return service && toServiceMetadata(service);
      }
      const client = await store.findClient(id);
      if (client === undefined) return undefined;
      if (used.size < maxNoted) used.set(id, now());
      const text = box.open(client.metadata, toBinding(id));
      return text === undefined ? undefined : (JSON.parse(text) as AdapterPayload);
    },
    flush: async () => {
      if (used.size === 0) return;
      const batch = new Map(used);
      used.clear();
      await store.recordClientUse(batch);
    },
  };
}

/** As the engine knows a client that calls for itself: with a key of its own, and no way to ask a person. */
function toServiceMetadata({ id, name, keys }: ServiceClient): AdapterPayload {
  return {
    client_id: id,
    client_name: name,
    redirect_uris: [],
    response_types: [],
    grant_types: ['client_credentials', jwtBearerGrant],
    token_endpoint_auth_method: 'private_key_jwt',
    ...(keys.kind === 'jwks' ? { jwks: { keys: [...keys.keys] } } : { jwks_uri: keys.uri }),
  };
}

/**
 * The id of a client that registers with this metadata. Of a public client it follows from the metadata, so that the
 * same registration is the same client, also when it comes twice at once. A client with a secret is nobody else's.
 */
export function toClientId(metadata: ClientMetadata): string {
  if (metadata['token_endpoint_auth_method'] !== 'none') return randomUUID();
  const told = Object.entries(metadata).filter(([, value]) => value !== undefined && value !== null);
  return toHash(JSON.stringify(told.toSorted(([one], [other]) => (one < other ? -1 : 1)))).slice(0, 32);
}

function toHash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function toBinding(id: string): { readonly purpose: string; readonly boundTo: string } {
  return { purpose: 'oauth-client', boundTo: id };
}
