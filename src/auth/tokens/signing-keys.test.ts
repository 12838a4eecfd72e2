import { randomBytes } from 'node:crypto';
import { compactVerify, CompactSign } from 'jose';
import { describe, expect, it } from 'vitest';
import { createSealedBox, type SealedBox, toSealingKey } from '../../mcp/sealed-box.ts';
import type { SigningKeyStore, StoredSigningKey } from './signing-key-store.ts';
import { createSigningKeys, publishAheadMs, type SigningKeys } from './signing-keys.ts';

const day = 24 * 3600_000;

/** One process's view of keys that are kept in an array. */
class ListStore implements SigningKeyStore {
  keys: StoredSigningKey[] = [];
  reads = 0;

  list(): Promise<readonly StoredSigningKey[]> {
    this.reads += 1;
    return Promise.resolve([...this.keys]);
  }

  insert(key: StoredSigningKey, newestId: string | undefined): Promise<boolean> {
    if (this.keys.at(-1)?.id !== newestId) return Promise.resolve(false);
    this.keys = [...this.keys.map((each) => ({ retiredAt: key.activeAt, ...each })), key];
    return Promise.resolve(true);
  }

  reseal(): Promise<boolean> {
    return Promise.resolve(false);
  }

  removeRetired(retiredBefore: number): Promise<number> {
    const before = this.keys.length;
    this.keys = this.keys.filter(({ retiredAt }) => retiredAt === undefined || retiredAt >= retiredBefore);
    return Promise.resolve(before - this.keys.length);
  }
}

function createBox(): SealedBox {
  return createSealedBox({ keys: [toSealingKey(randomBytes(32).toString('hex'))] });
}

interface Instance {
  readonly keys: SigningKeys;
  readonly unreadable: string[];
}

const clock = { now: 1_000_000 };

function createInstance(store: SigningKeyStore, box: SealedBox): Instance {
  const unreadable: string[] = [];
  const onUnreadable = (id: string): void => void unreadable.push(id);
  const now = (): number => clock.now;
  return { keys: createSigningKeys({ store, box, keepRetiredMs: day, onUnreadable, now }), unreadable };
}

async function sign(keys: SigningKeys): Promise<{ readonly id: string; readonly text: string }> {
  const { id, privateKey } = await keys.current();
  const text = await new CompactSign(Buffer.from('x'))
    .setProtectedHeader({ alg: 'ES256', kid: id })
    .sign(privateKey);
  return { id, text };
}

async function verifies(
  keys: SigningKeys,
  { id, text }: { readonly id: string; readonly text: string },
): Promise<boolean> {
  const key = await keys.find(id);
  return (
    key !== undefined &&
    compactVerify(text, key).then(
      () => true,
      () => false,
    )
  );
}

describe('signing keys', () => {
  it('are one key for instances that start at once, and each verifies what the other signed', async () => {
    const store = new ListStore();
    const box = createBox();
    const instances = Array.from({ length: 4 }, () => createInstance(store, box).keys);
    const signed = await Promise.all(instances.map(sign));
    expect(new Set(signed.map(({ id }) => id)).size).toBe(1);
    expect(store.keys).toHaveLength(1);
    for (const keys of instances)
      expect(await verifies(keys, signed[0] as (typeof signed)[number])).toBe(true);
  });

  it('publish no private part, and rest sealed', async () => {
    const store = new ListStore();
    const { keys } = createInstance(store, createBox());
    const { id } = await sign(keys);
    const [published] = await keys.publicKeys();
    expect(published).toEqual({
      kty: 'EC',
      crv: 'P-256',
      x: expect.any(String),
      y: expect.any(String),
      kid: id,
      alg: 'ES256',
      use: 'sig',
    });
    expect(JSON.stringify(store.keys)).not.toContain('"d"');
  });

  it('sign with a new key only once it was published long enough, and verify with the old one after that', async () => {
    const store = new ListStore();
    const box = createBox();
    const { keys } = createInstance(store, box);
    const other = createInstance(store, box).keys;
    const before = await sign(keys);
    await sign(other);
    const { id } = await keys.rotate();
    expect((await keys.publicKeys()).map(({ kid }) => kid)).toEqual([before.id, id]);
    expect((await sign(keys)).id).toBe(before.id);
    clock.now += publishAheadMs;
    expect((await sign(keys)).id).toBe(id);
    expect((await sign(other)).id).toBe(id);
    expect(await verifies(other, before)).toBe(true);
  });

  it('sign at once with a key that replaces a leaked one', async () => {
    const { keys } = createInstance(new ListStore(), createBox());
    const before = await sign(keys);
    const { id } = await keys.rotate({ isAtOnce: true });
    const after = await sign(keys);
    expect(after.id).toBe(id);
    expect(after.id).not.toBe(before.id);
  });

  it('do not verify what a key signed that retired longer ago than any token lives', async () => {
    const store = new ListStore();
    const { keys } = createInstance(store, createBox());
    const before = await sign(keys);
    await keys.rotate({ isAtOnce: true });
    clock.now += day;
    expect(await verifies(keys, before)).toBe(true);
    clock.now += 1;
    expect(await verifies(keys, before)).toBe(false);
    expect((await keys.publicKeys()).map(({ kid }) => kid)).not.toContain(before.id);
    expect(await keys.removeRetired()).toBe(1);
    expect(store.keys).toHaveLength(1);
  });

  it('are found when another instance made them a moment ago', async () => {
    const store = new ListStore();
    const box = createBox();
    const { keys } = createInstance(store, box);
    const other = createInstance(store, box).keys;
    await sign(other);
    await keys.rotate({ isAtOnce: true });
    clock.now += 1000;
    expect(await verifies(other, await sign(keys))).toBe(true);
  });

  it('ask the store little for ids that nobody has', async () => {
    const store = new ListStore();
    const { keys } = createInstance(store, createBox());
    await sign(keys);
    const { reads } = store;
    for (let asked = 0; asked < 100; asked += 1) expect(await keys.find(`unknown-${asked}`)).toBeUndefined();
    expect(store.reads - reads).toBeLessThanOrEqual(1);
  });

  it('are followed by one that opens, and told of, when the sealing key is lost; the old one still verifies', async () => {
    const store = new ListStore();
    const before = await sign(createInstance(store, createBox()).keys);
    const { keys, unreadable } = createInstance(store, createBox());
    const after = await sign(keys);
    expect(after.id).not.toBe(before.id);
    expect(unreadable).toContain(before.id);
    expect(await verifies(keys, before)).toBe(true);
  });
});
