import { createHash } from 'node:crypto';

const maxNameLength = 120;

/**
 * The folder name of a tenant: one per tenant id, readable where the id is plain, and safe whatever the id is.
 *
 * Anything but `a-z 0-9 _ -` is written as `%xx` per UTF-8 byte, capitals too, so that two ids never share a folder
 * on a file system that ignores case. A long id becomes its hash, marked so that no short id can equal it.
 *
 * @throws TypeError for an empty id, or one that is not well-formed Unicode
 */
export function toTenantFolderName(tenantId: string): string {
  if (tenantId === '') throw new TypeError('A tenant id must not be empty.');
  if (/\p{Surrogate}/u.test(tenantId)) throw new TypeError('A tenant id must be well-formed Unicode.');
  const name = Array.from(Buffer.from(tenantId), toSafeCharacters).join('');
  return name.length <= maxNameLength ? name : `%%${createHash('sha256').update(tenantId).digest('hex')}`;
}

function toSafeCharacters(byte: number): string {
  const character = String.fromCharCode(byte);
  return /[a-z0-9_-]/.test(character) ? character : `%${byte.toString(16).padStart(2, '0')}`;
}
