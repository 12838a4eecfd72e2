import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TenantStore } from '../tenant-store.ts';
import type { ServiceClient, ServiceClientStore } from './service-client-store.ts';

/** Two openings of the same, empty data, as two processes would have. */
export interface OpenedServiceClientStores {
  readonly serviceClients: ServiceClientStore;
  readonly otherServiceClients: ServiceClientStore;
  readonly tenants: TenantStore;
  close(): Promise<void>;
}

/** What every maker of `ServiceClientStore` keeps to. */
export function describeServiceClientStore(
  name: string,
  open: () => Promise<OpenedServiceClientStores>,
): void {
  describe(`${name} keeps service clients`, () => {
    let stores: OpenedServiceClientStores;

    beforeEach(async () => {
      stores = await open();
      for (const id of ['cafe', 'harbour']) await stores.tenants.insert({ id, name: id, createdAt: 1 });
    });
    afterEach(() => stores.close());

    test('one is found as it was stored, by everybody, until it is removed', async () => {
      const { serviceClients, otherServiceClients } = stores;
      for (const client of [
        toClient(1),
        { ...toClient(2), keys: { kind: 'jwks-uri', uri: 'https://a/b' } } as const,
      ]) {
        expect(await serviceClients.insert(client)).toBe(true);
        expect(await otherServiceClients.findById(client.id)).toEqual(client);
        expect(await otherServiceClients.remove(client.id)).toBe(true);
        expect(await serviceClients.findById(client.id)).toBeUndefined();
        expect(await serviceClients.remove(client.id)).toBe(false);
      }
    });

    test('an id is taken once, and a tenant must be there', async () => {
      expect(await stores.serviceClients.insert(toClient(1))).toBe(true);
      expect(await stores.otherServiceClients.insert({ ...toClient(1), name: 'other' })).toBe(false);
      expect(await stores.serviceClients.insert({ ...toClient(2), tenantId: 'nowhere' })).toBe(false);
      expect(await stores.serviceClients.list(10)).toEqual([toClient(1)]);
    });

    test('pages run oldest first, of one tenant or of all', async () => {
      const clients = [3, 1, 2].map((n) => toClient(n, n === 2 ? 'harbour' : 'cafe'));
      for (const client of clients) await stores.serviceClients.insert(client);
      const ids = async (...asked: Parameters<ServiceClientStore['list']>) =>
        (await stores.serviceClients.list(...asked)).map(({ createdAt }) => createdAt);
      expect(await ids(10)).toEqual([1, 2, 3]);
      expect(await ids(2)).toEqual([1, 2]);
      expect(await ids(10, { after: toClient(1) })).toEqual([2, 3]);
      expect(await ids(10, { tenantId: 'cafe' })).toEqual([1, 3]);
      expect(await ids(10, { tenantId: 'cafe', after: toClient(1) })).toEqual([3]);
    });
  });
}

function toClient(n: number, tenantId = 'cafe'): ServiceClient {
  return {
    id: `service-${n}`,
    name: `Nightly "${n}"`,
    tenantId,
    role: 'merchant',
    scopes: ['notes:read', '*'],
    keys: { kind: 'jwks', keys: [{ kty: 'EC', kid: String(n) }] },
    createdAt: n,
  };
}
