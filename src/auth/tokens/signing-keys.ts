/**
 * The keys that this host signs tokens with, the same ones on every instance: made when the first is needed, sealed at
 * rest, rotated with an overlap in which the old ones still verify.
 *
 * Not checked here: who may rotate, and whether a token that one of these keys signed is still good.
 */
import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type CryptoKey,
  type JWK,
} from 'jose';
import type { SealedBox } from '../../mcp/sealed-box.ts';
import type { SigningKeyStore, StoredSigningKey } from './signing-key-store.ts';

/** The algorithm of every key. RFC 7518, section 3.4. */
export const signingAlgorithm = 'ES256';
/** How long a new key is published before it signs: longer than anybody keeps our JWKS. */
export const publishAheadMs: number = 10 * 60_000;

/** How old what is known of the store may be before a look at it. */
const maxAgeMs = 30_000;
/** How often an unknown `kid` may cause a look. */
const unknownKeyCooldownMs = 1000;
/** Losing the race for a first key this often means that something else is wrong. */
const maxAttempts = 5;
/** Sealed for as long as a record may rest; how long a key serves is decided by rotation. */
const sealSeconds = 50 * 365 * 24 * 3600;

/** A key as it signs. */
export interface SigningKey {
  readonly id: string;
  readonly privateKey: CryptoKey;
  /** The same, for an engine that takes keys as text. Never leaves the process. */
  readonly privateJwk: JWK;
}

/** What a JWKS publishes of a key. RFC 7517, section 4. */
export type PublicKey = JWK & { readonly kid: string; readonly alg: string; readonly use: 'sig' };

/** The signing keys of one server. Each method throws `UpstreamError` when the store cannot be reached. */
export interface SigningKeys {
  /** The key to sign with now. */
  current(): Promise<SigningKey>;
  /** Every key that may have signed something that is still good, and the next one: a JWKS, oldest first. */
  publicKeys(): Promise<readonly PublicKey[]>;
  /** The public key of this id; `undefined` when there is none. */
  find(id: string): Promise<CryptoKey | undefined>;
  /**
   * Makes a new key and retires the present one.
   *
   * @param options.isAtOnce signs from now on, for a key that leaked; others that keep our JWKS refuse its tokens until
   *   they look again. Default: after `publishAheadMs`
   */
  rotate(options?: { readonly isAtOnce?: boolean }): Promise<StoredSigningKey>;
  /** Forgets keys that retired longer ago than any token of theirs can live. @returns how many */
  removeRetired(): Promise<number>;
}

/** What the keys are made with. */
export interface SigningKeysOptions {
  readonly store: SigningKeyStore;
  readonly box: SealedBox;
  /** How long a retired key is still published, in milliseconds: the longest life of a token, refreshing included. */
  readonly keepRetiredMs: number;
  /** Told of keys whose private part does not open: sealed with a key that is gone from `ENCRYPTION_KEY`. */
  readonly onUnreadable: (id: string) => void;
  readonly now?: () => number;
}

interface LoadedKey {
  readonly stored: StoredSigningKey;
  readonly jwk: PublicKey;
  readonly publicKey: CryptoKey;
  /** Absent when it does not open. */
  readonly signing: SigningKey | undefined;
}

/** Nothing is read before the first question. */
export function createSigningKeys(options: SigningKeysOptions): SigningKeys {
  const { store, box, keepRetiredMs, onUnreadable, now = Date.now } = options;
  /** By id: importing a key is dear, and one never changes. */
  let known = new Map<string, LoadedKey>();
  let loadedAt = Number.NEGATIVE_INFINITY;
  let loading: Promise<void> | undefined;

  const load = async (): Promise<void> => {
    const startedAt = now();
    const stored = await store.list();
    const loaded = await Promise.all(stored.map(async (key) => [key.id, await open(key)] as const));
    known = new Map(loaded);
    loadedAt = startedAt;
  };

  const open = async (stored: StoredSigningKey): Promise<LoadedKey> => {
    const before = known.get(stored.id);
    if (before !== undefined) return { ...before, stored };
    const jwk = JSON.parse(stored.publicJwk) as PublicKey;
    const sealed = box.open(stored.sealedPrivateJwk, toBinding(stored.id));
    if (sealed === undefined) onUnreadable(stored.id);
    return {
      stored,
      jwk,
      publicKey: await importKey(jwk),
      signing: sealed === undefined ? undefined : await toSigningKey(stored.id, sealed),
    };
  };

  /** Those who ask meanwhile wait for the same look. */
  const look = (): Promise<void> => {
    loading ??= load().finally(() => {
      loading = undefined;
    });
    return loading;
  };

  const refresh = async (maxAge: number): Promise<void> => {
    if (now() - loadedAt >= maxAge) await look();
  };

  const insert = async (activeAt: number): Promise<StoredSigningKey | undefined> => {
    const newest = [...known.values()].at(-1);
    const key = await createStoredKey(box, { createdAt: now(), activeAt });
    const isInserted = await store.insert(key, newest?.stored.id);
    await look();
    return isInserted ? key : undefined;
  };

  const findCurrent = (): SigningKey | undefined => {
    const at = now();
    const usable = [...known.values()].filter(({ stored }) => stored.activeAt <= at);
    // A newest one that does not open must be followed by one that does, even where an older one still would.
    return usable.at(-1)?.signing;
  };

  return {
    current: async () => {
      await refresh(maxAgeMs);
      for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
        const key = findCurrent();
        if (key !== undefined) return key;
        await insert(now());
      }
      throw new Error('no signing key could be made: other instances keep making ones that do not open here');
    },
    publicKeys: async () => {
      await refresh(maxAgeMs);
      const endedBefore = now() - keepRetiredMs;
      return [...known.values()].flatMap(({ jwk, stored: { retiredAt } }) =>
        retiredAt !== undefined && retiredAt < endedBefore ? [] : [jwk],
      );
    },
    find: async (id) => {
      await refresh(maxAgeMs);
      if (!known.has(id)) await refresh(unknownKeyCooldownMs);
      const key = known.get(id);
      const isOver = key?.stored.retiredAt !== undefined && key.stored.retiredAt < now() - keepRetiredMs;
      return isOver ? undefined : key?.publicKey;
    },
    rotate: async ({ isAtOnce = false } = {}) => {
      await look();
      for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
        const key = await insert(now() + (isAtOnce || known.size === 0 ? 0 : publishAheadMs));
        if (key !== undefined) return key;
      }
      throw new Error('another instance rotates the signing keys at the same time');
    },
    removeRetired: () => store.removeRetired(now() - keepRetiredMs),
  };
}

async function createStoredKey(
  box: SealedBox,
  times: { readonly createdAt: number; readonly activeAt: number },
): Promise<StoredSigningKey> {
  const pair = await generateKeyPair(signingAlgorithm, { extractable: true });
  const bare = await exportJWK(pair.publicKey);
  const id = await calculateJwkThumbprint(bare);
  const publicJwk: PublicKey = { ...bare, kid: id, alg: signingAlgorithm, use: 'sig' };
  const privateJwk = JSON.stringify({ ...(await exportJWK(pair.privateKey)), alg: signingAlgorithm });
  return {
    id,
    publicJwk: JSON.stringify(publicJwk),
    sealedPrivateJwk: box.seal(privateJwk, { ...toBinding(id), ttlSeconds: sealSeconds }),
    ...times,
  };
}

function toBinding(id: string): { readonly purpose: string; readonly boundTo: string } {
  return { purpose: 'signing-key', boundTo: id };
}

async function toSigningKey(id: string, text: string): Promise<SigningKey> {
  const bare = JSON.parse(text) as JWK;
  return { id, privateKey: await importKey(bare), privateJwk: { ...bare, kid: id, use: 'sig' } };
}

async function importKey(jwk: JWK): Promise<CryptoKey> {
  const key = await importJWK(jwk, signingAlgorithm);
  // Only a symmetric key imports as bytes, and none is ever stored.
  if (key instanceof Uint8Array) throw new TypeError('a signing key is not symmetric');
  return key;
}
