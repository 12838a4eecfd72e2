/**
 * Keeps secrets and what users say out of the log, by field name at any depth and by shape inside text.
 *
 * It cannot know a secret under an innocent name that looks like nothing in particular: whoever logs decides what to
 * log; this is the net below.
 */

const redacted = '[redacted]';
const maxDepth = 6;
const maxItems = 100;
const maxTextCharacters = 8192;
const maxRememberedNames = 1000;

const secretNames: ReadonlySet<string> = new Set([
  'arguments',
  'body',
  'requeststate',
  'databaseurl',
  'redisurl',
]);
const secretEndings =
  /(?:authorization|cookies?|apikeys?|tokens?|secrets?|passwords?|passphrase|encryptionkeys?|credentials?)$/;

// Bearer tokens, API keys, JSON Web Tokens, and the user part of a URL.
const secretShapes =
  /\bBearer\s+[^\s"',;]+|\b[a-z][a-z0-9]{0,31}_mcp_[0-9a-f]{8,}|\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?|:\/\/[^\s/@]{1,256}@/gi;

/** Fields as they may be logged; the same object when there is nothing to hide. */
export function redactFields(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  let copy: Record<string, unknown> | undefined;
  for (const name in fields) {
    const value = fields[name];
    const shown =
      isSecretName(name) && value !== undefined && value !== null ? redacted : redactValue(value, 0);
    if (shown !== value) (copy ??= { ...fields })[name] = shown;
  }
  return copy ?? fields;
}

/** Text as it may be logged: whatever looks like a credential is cut out, and length is bounded. */
export function redactText(text: string): string {
  const bounded = text.length > maxTextCharacters ? `${text.slice(0, maxTextCharacters)}...` : text;
  // Everything that the pattern matches holds one of these; most text holds none.
  const mayHoldSecret =
    bounded.includes('_mcp_') ||
    bounded.includes('eyJ') ||
    bounded.includes('://') ||
    /bearer/i.test(bounded);
  return mayHoldSecret ? bounded.replace(secretShapes, toRedacted) : bounded;
}

const rememberedNames = new Map<string, boolean>();

function isSecretName(name: string): boolean {
  const remembered = rememberedNames.get(name);
  if (remembered !== undefined) return remembered;
  const plain = name.replace(/[-_]/g, '').toLowerCase();
  const isSecret = secretNames.has(plain) || secretEndings.test(plain);
  if (rememberedNames.size < maxRememberedNames) rememberedNames.set(name, isSecret);
  return isSecret;
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.length < 12 ? value : redactText(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= maxDepth) return '[too deep]';
  try {
    return redactObject(value, depth);
  } catch {
    // A getter or `toJSON` that throws must not turn a log line into a failure.
    return '[unreadable]';
  }
}

function redactObject(value: object, depth: number): unknown {
  if (value instanceof Error) return redactText(value.message);
  if (Array.isArray(value)) return value.slice(0, maxItems).map((item) => redactValue(item, depth + 1));
  if ('toJSON' in value && typeof value.toJSON === 'function') return redactValue(value.toJSON(), depth + 1);
  const copy: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value).slice(0, maxItems)) {
    copy[name] = isSecretName(name) ? redacted : redactValue(item, depth + 1);
  }
  return copy;
}

function toRedacted(found: string): string {
  if (found.startsWith('://')) return `://${redacted}@`;
  return redacted;
}
