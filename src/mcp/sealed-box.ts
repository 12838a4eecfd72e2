/**
 * Small values sealed into strings that a client may hold but neither read, change, nor lend to another principal.
 *
 * Does not check: whether a string was used before (it opens as often as it is presented until it expires: what must
 * happen once claims it, see `single-use-state`), whether the principal may still do what the value says, and how often a
 * key has sealed. Initialization vectors are random, so a key must be replaced before 2^32 seals (NIST SP 800-38D,
 * section 8.3). The length of the value shows.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  hkdfSync,
  randomFillSync,
  type KeyObject,
} from 'node:crypto';

/** A key and the name that sealed strings carry to find it again. */
export interface SealingKey {
  /** 1 to 32 of `A-Z a-z 0-9 _ -`; public. */
  readonly id: string;
  /** 32 bytes. */
  readonly key: Buffer;
}

/** What a box does for one purpose and one holder; both must be the same to open. */
export interface SealBinding {
  /** What the string is for, e.g. `request-state`: one made for another purpose does not open. */
  readonly purpose: string;
  /** Whose it is, e.g. a principal key. */
  readonly boundTo: string;
}

/** A bound of its own, for strings that do not go to clients. */
export interface SealLength {
  /** Longest sealed string, in characters. Default `maxSealedLength`. */
  readonly maxLength?: number;
}

/** Seals strings and opens them again. */
export interface SealedBox {
  /**
   * @param value well-formed Unicode, e.g. JSON text
   * @param options.ttlSeconds how long it opens, more than 0
   * @returns `A-Z a-z 0-9 _ - .` only
   * @throws RangeError when the sealed string would be longer than `maxLength`, or the time is not positive
   */
  seal(value: string, options: SealBinding & SealLength & { readonly ttlSeconds: number }): string;
  /** The value; `undefined`, for whichever reason, when it is not one that this box sealed so, or it has expired. */
  open(sealed: string, binding: SealBinding & SealLength): string | undefined;
  /** As `open`, and until when it opens. */
  openDated(sealed: string, binding: SealBinding & SealLength): OpenedSeal | undefined;
}

/** What was sealed. */
export interface OpenedSeal {
  readonly value: string;
  /** Milliseconds since the epoch; from then on the string does not open. */
  readonly expiresAt: number;
}

/** What a box is made with. */
export interface SealedBoxOptions {
  /** The first seals, all open. To change it: docs/operations/encryption-keys.md. */
  readonly keys: readonly SealingKey[];
  readonly now?: () => number;
  /** Fills a buffer with random bytes that nobody can foresee and that never repeat. */
  readonly fillRandom?: (buffer: Buffer) => void;
}

/** Longest sealed string that a client may hold, in characters. */
export const maxSealedLength: number = 64 * 1024;

const version = 1;
const keyBytes = 32;
const vectorBytes = 12;
const expiryBytes = 8;
const tagBytes = 16;
/** Vectors drawn at once: asking the system for randomness costs more than the encryption. */
const pooledVectors = 256;

/** @throws TypeError without keys, with a key of another size, or with two keys of one id */
export function createSealedBox(options: SealedBoxOptions): SealedBox {
  const now = options.now ?? Date.now;
  const keys = toKeyTable(options.keys);
  const sealing = options.keys[0] as SealingKey;
  const sealingKey = keys.get(sealing.id) as KeyObject;
  const nextVector = createVectorSource(options.fillRandom ?? randomFillSync);
  const openDated: SealedBox['openDated'] = (sealed, { maxLength = maxSealedLength, ...binding }) => {
    if (sealed.length > maxLength) return undefined;
    const separator = sealed.indexOf('.');
    const id = sealed.slice(0, Math.max(separator, 0));
    const key = keys.get(id);
    const body = key === undefined ? undefined : decodeExactly(sealed.slice(separator + 1));
    if (key === undefined || body === undefined) return undefined;
    const content = decrypt(body, key, toBoundData(id, binding));
    const expiresAt = content?.readDoubleBE() ?? 0;
    if (content === undefined || now() >= expiresAt) return undefined;
    return { value: content.toString('utf8', expiryBytes), expiresAt };
  };
  return {
    seal(value, { ttlSeconds, maxLength = maxSealedLength, ...binding }) {
      if (!(ttlSeconds > 0 && Number.isFinite(ttlSeconds))) {
        throw new RangeError(`ttlSeconds must be a positive number, not ${ttlSeconds}.`);
      }
      const content = Buffer.allocUnsafe(expiryBytes + Buffer.byteLength(value));
      content.writeDoubleBE(now() + ttlSeconds * 1000);
      content.write(value, expiryBytes);
      const vector = nextVector();
      const cipher = createCipheriv('aes-256-gcm', sealingKey, vector, { authTagLength: tagBytes });
      cipher.setAAD(toBoundData(sealing.id, binding));
      const body = Buffer.concat([vector, cipher.update(content), cipher.final(), cipher.getAuthTag()]);
      const sealed = `${sealing.id}.${body.toString('base64url')}`;
      if (sealed.length > maxLength) {
        throw new RangeError(`A sealed value may be ${maxLength} characters; this one is ${sealed.length}.`);
      }
      return sealed;
    },
    open: (sealed, binding) => openDated(sealed, binding)?.value,
    openDated,
  };
}

/**
 * The sealing key that belongs to a secret. Derived, so that what else the secret is used for stays apart from it.
 *
 * @param hex 64 hexadecimal digits
 * @param id default: from a hash of the derived key, the same on every instance
 * @throws TypeError for anything else, without repeating it
 */
export function toSealingKey(hex: string, id?: string): SealingKey {
  if (!/^[0-9a-f]{64}$/i.test(hex)) throw new TypeError('A sealing key is made from 64 hexadecimal digits.');
  const key = Buffer.from(hkdfSync('sha256', Buffer.from(hex, 'hex'), '', 'mooring sealed box', keyBytes));
  return {
    id: id ?? createHash('sha256').update('mooring sealed box key id').update(key).digest('hex').slice(0, 12),
    key,
  };
}

function toKeyTable(keys: readonly SealingKey[]): ReadonlyMap<string, KeyObject> {
  if (keys.length === 0) throw new TypeError('A sealed box needs at least one key.');
  const table = new Map<string, KeyObject>();
  for (const { id, key } of keys) {
    if (!/^[\w-]{1,32}$/.test(id)) throw new TypeError('A key id is 1 to 32 of A-Z a-z 0-9 _ -.');
    if (key.length !== keyBytes)
      throw new TypeError(`The key ${id} must be ${keyBytes} bytes, not ${key.length}.`);
    if (table.has(id)) throw new TypeError(`Two keys have the id ${id}.`);
    table.set(id, createSecretKey(key));
  }
  return table;
}

function createVectorSource(fillRandom: (buffer: Buffer) => void): () => Buffer {
  let pool = Buffer.alloc(0);
  let used = 0;
  return () => {
    if (used === pool.length) {
      // A new buffer, not the old one filled again: vectors handed out before are views of it.
      pool = Buffer.alloc(pooledVectors * vectorBytes);
      fillRandom(pool);
      used = 0;
    }
    used += vectorBytes;
    return pool.subarray(used - vectorBytes, used);
  };
}

/** What is authenticated and not stored. As JSON, so that no two different bindings read the same. */
function toBoundData(keyId: string, { purpose, boundTo }: SealBinding): Buffer {
  return Buffer.from(JSON.stringify([version, keyId, purpose, boundTo]));
}

/** Base64url has several spellings of the same bytes, and Node skips what it does not know: only one is ours. */
function decodeExactly(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

function decrypt(body: Buffer, key: KeyObject, boundData: Buffer): Buffer | undefined {
  const tagStart = body.length - tagBytes;
  if (tagStart < vectorBytes + expiryBytes) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, body.subarray(0, vectorBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(boundData);
  decipher.setAuthTag(body.subarray(tagStart));
  const content = decipher.update(body.subarray(vectorBytes, tagStart));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return content;
}
