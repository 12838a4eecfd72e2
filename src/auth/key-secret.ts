import * as crypto from 'node:crypto';

const randomBytesPerKey = 32;
const hintLength = 4;

/** Nothing longer is a key: the longest prefix, `_mcp_`, and 32 bytes in hexadecimal. */
export const maxKeyLength: number = 16 + '_mcp_'.length + 2 * randomBytesPerKey;

/** What a key's first part may be: the operator's choice, so that scanners can find leaked keys of one service. */
export const keyPrefixPattern: RegExp = /^[a-z][a-z0-9]{0,15}$/;

// The prefix is not compared with the configured one: keys made before it was changed go on working.
const keyPattern = /^[a-z][a-z0-9]{0,15}_mcp_[0-9a-f]{64}$/;

// `crypto.hash` skips the stream object and takes half the time; it is not in every Node 20 we run on.
const hashOnce = 'hash' in crypto ? crypto.hash : undefined;

/** A new API key: `<prefix>_mcp_` and 256 random bits in hexadecimal. Shown once, never stored. */
export function createKeySecret(
  prefix: string,
  randomBytes: (size: number) => Uint8Array = crypto.randomBytes,
): string {
  if (!keyPrefixPattern.test(prefix)) throw new TypeError(`key prefix must match ${keyPrefixPattern.source}`);
  return `${prefix}_mcp_${Buffer.from(randomBytes(randomBytesPerKey)).toString('hex')}`;
}

/** Whether a token has the shape of an API key, whatever its prefix. */
export function isKeySecret(token: string): boolean {
  return keyPattern.test(token);
}

/**
 * SHA-256 of a key in hexadecimal. A slow hash would protect nothing here: 256 random bits cannot be guessed from
 * their hash, and this runs on every request.
 */
export function toKeyHash(secret: string): string {
  return hashOnce === undefined
    ? crypto.createHash('sha256').update(secret).digest('hex')
    : hashOnce('sha256', secret, 'hex');
}

/** What people recognise a key by: its prefix and its last four characters. */
export function toKeyHint(secret: string): string {
  return `${secret.slice(0, secret.indexOf('_'))}_mcp_...${secret.slice(-hintLength)}`;
}
