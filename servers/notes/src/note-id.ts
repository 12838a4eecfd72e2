import { randomBytes } from 'node:crypto';

/** Crockford's Base32 in lower case: no i, l, o or u, safe in URIs and in case-insensitive file names. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const timeLength = 10;
const randomLength = 16;
const idPattern = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/**
 * A new note's id: a ULID in lower case, so that ids sort by the time they were made.
 *
 * @param nowMs milliseconds since the epoch
 * @param random bytes to draw the 80 random bits from
 */
export function createNoteId(nowMs: number, random: (size: number) => Uint8Array = randomBytes): string {
  let time = '';
  for (let rest = nowMs; time.length < timeLength; rest = Math.floor(rest / 32)) {
    time = `${alphabet[rest % 32]}${time}`;
  }
  return time + createNonce(randomLength, random);
}

/** Whether a string from outside can be a note's id at all; what passes is safe as a file name. */
export function isNoteId(value: string): boolean {
  return idPattern.test(value);
}

/**
 * Random characters that are safe in a file name.
 *
 * @param length 5 random bits each
 */
export function createNonce(length: number, random: (size: number) => Uint8Array = randomBytes): string {
  return Array.from(random(length), (byte) => alphabet[byte % 32]).join('');
}
