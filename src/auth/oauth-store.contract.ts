import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { OauthClient, OauthRecord, OauthStore } from './oauth-store.ts';

/** Two openings of the same, empty data, as two processes would have. */
export interface OpenedOauthStores {
  readonly oauth: OauthStore;
  readonly otherOauth: OauthStore;
  close(): Promise<void>;
}

const model = 'AuthorizationCode';

/** What every maker of `OauthStore` keeps to. */
export function describeOauthStore(name: string, open: () => Promise<OpenedOauthStores>): void {
  describe(`${name} keeps what the authorization server remembers`, () => {
    let stores: OpenedOauthStores;
    let oauth: OauthStore;

    beforeEach(async () => {
      stores = await open();
      ({ oauth } = stores);
    });
    afterEach(() => stores.close());

    /** From both openings in turn. */
    function atOnce<Value>(
      count: number,
      ask: (store: OauthStore, n: number) => Promise<Value>,
    ): Promise<Value[]> {
      return Promise.all(
        Array.from({ length: count }, (_, n) => ask(n % 2 === 0 ? oauth : stores.otherOauth, n)),
      );
    }

    test('a record is found with everything it was stored with, and absent values stay absent', async () => {
      const full: OauthRecord = {
        ...toRecord(1),
        grantId: 'grant',
        uid: 'uid',
        userCode: 'ABCD',
        consumedAt: 9_000_000_000_001,
        expiresAt: 9_000_000_000_002,
      };
      await oauth.upsert(full);
      await oauth.upsert(toRecord(2));
      expect(await oauth.find(model, full.idHash, 5)).toEqual(full);
      expect(await stores.otherOauth.findByUid(model, 'uid', 5)).toEqual(full);
      expect(await oauth.find(model, toRecord(2).idHash, 5)).toEqual(toRecord(2));
      expect(Object.keys((await oauth.find(model, toRecord(2).idHash, 5)) ?? {})).toHaveLength(3);
    });

    test('of many that insert one record at once, one does, and it is not replaced', async () => {
      const inserted = await atOnce(8, (store, n) =>
        store.insert({ ...toRecord(1), sealedPayload: String(n), expiresAt: 100 }),
      );
      expect(inserted.filter(Boolean)).toEqual([true]);
      expect((await oauth.find(model, toRecord(1).idHash, 5))?.sealedPayload).toBe(
        String(inserted.indexOf(true)),
      );
      // Also one that has ended, until it is swept.
      expect(await oauth.insert(toRecord(1))).toBe(false);
    });

    test('a record is of one model, and one that expired is as none', async () => {
      await oauth.upsert({ ...toRecord(1), uid: 'uid', expiresAt: 100 });
      expect(await oauth.find('Session', toRecord(1).idHash, 5)).toBeUndefined();
      expect(await oauth.findByUid('Session', 'uid', 5)).toBeUndefined();
      expect(await oauth.find(model, toRecord(1).idHash, 99)).toBeDefined();
      expect(await oauth.find(model, toRecord(1).idHash, 100)).toBeUndefined();
      expect(await oauth.findByUid(model, 'uid', 100)).toBeUndefined();
    });

    test('what is stored again replaces all of what was there, its use too', async () => {
      await oauth.upsert({ ...toRecord(1), grantId: 'grant', uid: 'uid', expiresAt: 100 });
      expect(await oauth.consume(model, toRecord(1).idHash, 5)).toBe(true);
      await oauth.upsert({ ...toRecord(1), sealedPayload: 'new' });
      expect(await oauth.find(model, toRecord(1).idHash, 500)).toEqual({
        ...toRecord(1),
        sealedPayload: 'new',
      });
      expect(await oauth.findByUid(model, 'uid', 5)).toBeUndefined();
      expect(await oauth.consume(model, toRecord(1).idHash, 6)).toBe(true);
    });

    test('of many that store the same record at once, each succeeds and one record is left', async () => {
      await atOnce(20, (store, n) => store.upsert({ ...toRecord(1), sealedPayload: `${n}` }));
      expect((await oauth.find(model, toRecord(1).idHash, 5))?.sealedPayload).toMatch(/^\d+$/);
    });

    test('of many that redeem the same code at once, one is first', async () => {
      await oauth.upsert({ ...toRecord(1), expiresAt: 100 });
      const results = await atOnce(20, (store, n) => store.consume(model, toRecord(1).idHash, 10 + n));
      expect(results.filter(Boolean)).toHaveLength(1);
      expect((await oauth.find(model, toRecord(1).idHash, 50))?.consumedAt).toBe(10 + results.indexOf(true));
    });

    test('what is unknown, of another model or expired cannot be redeemed', async () => {
      await oauth.upsert({ ...toRecord(1), expiresAt: 100 });
      expect(await oauth.consume(model, toRecord(2).idHash, 5)).toBe(false);
      expect(await oauth.consume('RefreshToken', toRecord(1).idHash, 5)).toBe(false);
      expect(await oauth.consume(model, toRecord(1).idHash, 100)).toBe(false);
      expect(await oauth.consume(model, toRecord(1).idHash, 99)).toBe(true);
    });

    test('a record is removed, alone or with all of its grant, whatever their models', async () => {
      for (const n of [1, 2, 3, 4])
        await oauth.upsert({ ...toRecord(n), ...(n > 1 && { grantId: n > 3 ? 'other' : 'grant' }) });
      await oauth.upsert({ ...toRecord(3), model: 'RefreshToken', grantId: 'grant' });
      await oauth.remove(model, toRecord(1).idHash);
      await oauth.removeByGrant('grant');
      expect(await Promise.all([1, 2, 3].map((n) => oauth.find(model, toRecord(n).idHash, 5)))).toEqual([
        undefined,
        undefined,
        undefined,
      ]);
      expect(await oauth.find('RefreshToken', toRecord(3).idHash, 5)).toBeUndefined();
      expect(await oauth.find(model, toRecord(4).idHash, 5)).toBeDefined();
    });

    test('records that expired are forgotten, others are not', async () => {
      await oauth.upsert({ ...toRecord(1), expiresAt: 100 });
      await oauth.upsert({ ...toRecord(2), expiresAt: 101 });
      await oauth.upsert(toRecord(3));
      expect(await oauth.removeExpired(100)).toBe(1);
      expect(await oauth.removeExpired(100)).toBe(0);
      expect(await oauth.find(model, toRecord(1).idHash, 5)).toBeUndefined();
      expect(await oauth.find(model, toRecord(2).idHash, 5)).toBeDefined();
      expect(await oauth.find(model, toRecord(3).idHash, 5)).toBeDefined();
    });

    test('a client is found by its id, with everything it registered', async () => {
      expect(await oauth.insertClient(toClient(1))).toEqual(toClient(1));
      expect(await stores.otherOauth.findClient('client-1')).toEqual(toClient(1));
      expect(await oauth.findClient('nobody')).toBeUndefined();
    });

    test('of many that register the same client at once, all get the one that was first', async () => {
      const stored = await atOnce(20, (store, n) =>
        store.insertClient({ ...toClient(n), fingerprint: 'same', lastUsedAt: 10 }),
      );
      expect(new Set(stored.map(({ id }) => id)).size).toBe(1);
      expect(await oauth.findClient(stored[0]?.id ?? '')).toEqual(stored[0]);
      const ids = Array.from({ length: 20 }, (_, n) => `client-${n}`).filter((id) => id !== stored[0]?.id);
      expect(await Promise.all(ids.map((id) => oauth.findClient(id)))).toEqual(ids.map(() => undefined));
    });

    test('of many that register the same client under the same id at once, none fails', async () => {
      const stored = await atOnce(20, (store) => store.insertClient(toClient(1)));
      expect(stored).toEqual(stored.map(() => toClient(1)));
    });

    test('an id is not given to another client', async () => {
      await oauth.insertClient(toClient(1));
      await expect(oauth.insertClient({ ...toClient(1), fingerprint: 'other' })).rejects.toThrow();
      expect(await oauth.findClient('client-1')).toEqual(toClient(1));
    });

    test('use of clients is noted and never goes back; registering again is a use', async () => {
      for (const n of [1, 2, 3]) await oauth.insertClient(toClient(n));
      await oauth.recordClientUse(
        new Map([
          ['client-1', 1_800_000_000_000],
          ['client-2', 3],
          ['gone', 5],
        ]),
      );
      await oauth.recordClientUse(new Map());
      await oauth.insertClient({ ...toClient(3), id: 'again', lastUsedAt: 1_900_000_000_000 });
      await oauth.insertClient({ ...toClient(3), id: 'again', lastUsedAt: 4 });
      const found = await Promise.all([1, 2, 3].map((n) => oauth.findClient(`client-${n}`)));
      expect(found.map((client) => client?.lastUsedAt)).toEqual([
        1_800_000_000_000,
        toClient(2).lastUsedAt,
        1_900_000_000_000,
      ]);
    });

    test('clients that nobody used for long are forgotten, others are not', async () => {
      for (const n of [1, 2, 3]) await oauth.insertClient(toClient(n));
      expect(await oauth.removeUnusedClients(toClient(3).lastUsedAt)).toBe(2);
      expect(await oauth.findClient('client-2')).toBeUndefined();
      expect(await oauth.findClient('client-3')).toEqual(toClient(3));
    });
  });
}

function toRecord(n: number): OauthRecord {
  return { model, idHash: n.toString(16).padStart(64, '0'), sealedPayload: `sealed ${n}` };
}

function toClient(n: number): OauthClient {
  return {
    id: `client-${n}`,
    metadata: JSON.stringify({ client_name: `"${n}"` }),
    fingerprint: n.toString(16).padStart(64, '0'),
    createdAt: 1_790_000_000_000,
    lastUsedAt: 1_790_000_000_000 + n,
  };
}
