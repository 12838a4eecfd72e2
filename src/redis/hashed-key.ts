import { createHash } from 'node:crypto';

/**
 * A key for something that callers name, with a hash tag of its own; what follows it shares its slot. Hashed: names may
 * be of any length, and may say something of a person.
 *
 * @param prefix of every key of this server, e.g. `mcp:`
 * @param kind what it is, e.g. `lock`
 */
export function toHashedKey(prefix: string, kind: string, name: string): string {
  return `${prefix}${kind}:{${createHash('sha256').update(name).digest('base64url').slice(0, 22)}}`;
}
