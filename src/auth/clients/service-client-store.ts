import type { PagePosition } from '../api-key-store.ts';

/** Where the public keys are that a client proves itself with. */
export type ClientKeys =
  /** Public keys as JSON Web Keys, each with a `kid`. RFC 7517. */
  | { readonly kind: 'jwks'; readonly keys: readonly Readonly<Record<string, unknown>>[] }
  | { readonly kind: 'jwks-uri'; readonly uri: string };

/** A program that calls for itself, made by an operator: no person signs in for it. */
export interface ServiceClient {
  /** `client_id`, and the subject of its tokens; see `isServiceClientId`. */
  readonly id: string;
  readonly name: string;
  readonly tenantId: string;
  readonly role: string;
  /** The most that its tokens may carry, in the sense of `isScopeCovered`. */
  readonly scopes: readonly string[];
  readonly keys: ClientKeys;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** Where service clients are kept. Each method throws `UpstreamError` when it cannot be reached. */
export interface ServiceClientStore {
  /** @returns false when the id is taken, or there is no such tenant */
  insert(client: ServiceClient): Promise<boolean>;
  findById(id: string): Promise<ServiceClient | undefined>;
  /** Oldest first, at most `limit`; default: of all tenants. */
  list(
    limit: number,
    options?: { readonly tenantId?: string; readonly after?: PagePosition },
  ): Promise<readonly ServiceClient[]>;
  /** @returns whether it existed */
  remove(id: string): Promise<boolean>;
}

const idPattern = /^service-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether a client id is that of a service client: no client that registers itself is ever given one like it. */
export function isServiceClientId(id: string): boolean {
  return idPattern.test(id);
}
