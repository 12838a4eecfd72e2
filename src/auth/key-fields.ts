/** The values a caller may choose for a key or a tenant: one set of rules for HTTP and the command line. */
import * as z from 'zod';
import { RequestError } from '../errors.ts';

const maxNameLength = 100;
const maxScopes = 64;
const maxScopeLength = 128;

/** A name for people: no line breaks, control or invisible characters, which would forge lines in a terminal. */
export const nameSchema: z.ZodType<string> = z
  .string()
  .trim()
  .min(1, 'must not be empty')
  .max(maxNameLength, `must be at most ${maxNameLength} characters`)
  .regex(/^[^\p{C}\p{Zl}\p{Zp}]*$/u, 'must not contain control or invisible characters');

/** The id of a tenant. */
export const tenantIdSchema: z.ZodType<string> = z
  .string()
  .regex(/^[A-Za-z0-9._:-]{1,128}$/, 'must be 1 to 128 of A-Z a-z 0-9 . _ : -');

/** Scopes; see RFC 6749, section 3.3, for their characters. Repeated ones are dropped. */
export const scopesSchema: z.ZodType<string[]> = z
  .array(
    z
      .string()
      .max(maxScopeLength, `each must be at most ${maxScopeLength} characters`)
      .regex(/^[\x21\x23-\x5B\x5D-\x7E]+$/, 'each must be printable ASCII without space, quote or backslash'),
  )
  .min(1, 'must name at least one scope; "*" stands for all')
  .max(maxScopes, `must be at most ${maxScopes} scopes`)
  .transform((scopes) => [...new Set(scopes)]);

/** One of our roles, or an application's own word. */
export const roleSchema: z.ZodType<string> = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,63}$/, 'must be 1 to 64 of a-z 0-9 _, starting with a letter');

/** A moment as ISO 8601 with a time zone, to milliseconds since the epoch. */
export const momentSchema: z.ZodType<number> = z.iso
  .datetime({ offset: true, message: 'must be an ISO 8601 time with a zone, e.g. 2027-01-31T12:00:00Z' })
  .transform((text) => Date.parse(text));

const keyIdPattern = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether a text can be the id of a key at all; what cannot is never looked up. */
export function isKeyId(text: string): boolean {
  return keyIdPattern.test(text);
}

/**
 * Parses a caller's value.
 *
 * @param what how the message names the value
 * @throws RequestError `request_invalid` (400) that names each problem and where it is
 */
export function parseFields<Value>(schema: z.ZodType<Value>, value: unknown, what: string): Value {
  const parsed = safeParse(schema, value);
  if (parsed === undefined) throw new RequestError('request_invalid', `${what} is not valid`);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`,
  );
  throw new RequestError('request_invalid', `${what} is not valid: ${problems.join('; ')}`);
}

/**
 * `undefined` when the schema itself threw. zod 4 checks the `length` of whatever has one, an object too, and compares
 * a `length` that may be an object without a primitive value. Ours run no code that could throw otherwise.
 */
function safeParse<Value>(
  schema: z.ZodType<Value>,
  value: unknown,
): ReturnType<z.ZodType<Value>['safeParse']> | undefined {
  try {
    return schema.safeParse(value);
  } catch {
    return undefined;
  }
}
