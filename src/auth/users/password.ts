/**
 * Passwords of local accounts: hashed with scrypt (RFC 7914), so that whoever reads the database has to spend 32 MB and
 * a tenth of a second on every guess.
 */
import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto';
import { RequestError } from '../../errors.ts';
import { createBoundedTurns } from '../../lib/bounded-turns.ts';

/** The shortest password that is taken. NIST SP 800-63B-4, section 3.1.1.2, where it is the only factor. */
export const minPasswordLength = 15;
/** The longest: every character counts, none is cut off. */
export const maxPasswordLength = 256;

/** What a guess costs: one of the equal choices of OWASP's Password Storage Cheat Sheet. */
const cost = { logN: 15, r: 8, p: 3 } as const;
const saltBytes = 16;
const hashBytes = 32;
/** At once: each holds 32 MB and a thread of the few that there are. */
const maxRunning = 2;
/** Waiting for their turn: more are refused, not kept. */
const maxWaiting = 64;

const hashPattern = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9_-]+)\$([A-Za-z0-9_-]+)$/;
/** Somebody's who is not there: judging them takes as long. */
const nobody = `$scrypt$ln=${cost.logN},r=${cost.r},p=${cost.p}$${'A'.repeat(22)}$${'A'.repeat(43)}`;

const takeTurn = createBoundedTurns({ maxRunning, maxWaiting });

/**
 * @returns the hash with its salt and its cost, at most 128 ASCII characters
 * @throws RequestError `request_invalid` (400) for one that is too short or too long; `rate_limited` (429) when too many
 *   wait
 */
export async function hashPassword(password: string): Promise<string> {
  const { length } = Array.from(password);
  if (length < minPasswordLength || length > maxPasswordLength) {
    throw new RequestError(
      'request_invalid',
      `A password has ${minPasswordLength} to ${maxPasswordLength} characters`,
    );
  }
  const salt = randomBytes(saltBytes);
  const hash = await derive(password, salt, cost);
  const parts = [salt, hash].map((part) => part.toString('base64url'));
  return `$scrypt$ln=${cost.logN},r=${cost.r},p=${cost.p}$${parts.join('$')}`;
}

/**
 * Whether a password is the one that was hashed. Takes as long for a wrong one, and without a hash.
 *
 * @param hash as `hashPassword` returned it; `undefined` for an account that is not there, or has none
 * @throws RequestError `rate_limited` (429) when too many wait
 */
export async function isPassword(password: string, hash: string | undefined): Promise<boolean> {
  const [, logN, r, p, salt = '', expected = ''] = hashPattern.exec(hash ?? nobody) ?? [];
  if (logN === undefined || password.length > maxPasswordLength * 2) return false;
  const derived = await derive(password, Buffer.from(salt, 'base64url'), {
    logN: Number(logN),
    r: Number(r),
    p: Number(p),
  });
  const wanted = Buffer.from(expected, 'base64url');
  return wanted.length === derived.length && timingSafeEqual(wanted, derived) && hash !== undefined;
}

async function derive(
  password: string,
  salt: Uint8Array,
  { logN, r, p }: { readonly logN: number; readonly r: number; readonly p: number },
): Promise<Buffer> {
  const options: ScryptOptions = { N: 2 ** logN, r, p, maxmem: 2 * 128 * r * 2 ** logN };
  // Typed on different keyboards, the same characters may be different code points. RFC 8265, section 4.2.
  const text = password.normalize('NFC');
  const derived = takeTurn(
    () =>
      new Promise<Buffer>((resolve, reject) => {
        scrypt(text, salt, hashBytes, options, (error, key) => {
          if (error === null) resolve(key);
          else reject(error);
        });
      }),
  );
  if (derived !== undefined) return derived;
  throw new RequestError('rate_limited', 'Too many people sign in at this moment: try again soon', {
    headers: { 'Retry-After': '5' },
  });
}
