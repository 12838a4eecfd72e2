import { parseAddressRange } from '../lib/ip-address.ts';
import { parseRedisUrl, redisUrlForms } from './redis-url.ts';
import type { IntegerSetting, ListSetting, Setting, TextSetting, UrlSetting } from './setting.ts';
import { parseTrustedIssuers } from './trusted-issuers.ts';

/** A parsed value, or what was expected in its place. Neither ever quotes a secret. */
export type Parsing<Value> =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'problem'; readonly problem: string };

type RawValue = string | number | boolean | readonly string[];

const maxShownCharacters = 60;
const maxListItems = 1000;
const hostPattern = /^(?:[a-z0-9](?:[a-z0-9._-]{0,252})|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/;
const originPattern =
  /^([a-z][a-z0-9+.-]{0,31}):\/\/((?:[a-z0-9][a-z0-9._-]{0,252})|\[[0-9a-f:.]{2,45}\])(?::(\d{1,5}|\*))?$/;
const encryptionKeyPattern = /^[0-9a-f]{64}$/i;

/**
 * Reads one setting's value: text from the environment or a flag, or a value of the fitting type from
 * `mooring.config`. Never throws.
 */
export function parseSetting(setting: Setting, raw: unknown): Parsing<unknown> {
  // The only one whose items are objects; it tells its own problems.
  if (setting.kind === 'issuers') return parseTrustedIssuers(raw);
  if (!isRawValue(raw)) return toProblem(setting, raw, `expected ${describeExpected(setting)}`);
  switch (setting.kind) {
    case 'integer':
      return parseInteger(setting, raw);
    case 'boolean':
      return parseBoolean(setting, raw);
    case 'choice': {
      const word = setting.choices.find((choice) => choice === raw) ?? toSynonym(setting.synonyms, raw);
      return word === undefined
        ? toProblem(setting, raw, `expected ${describeExpected(setting)}`)
        : toValue(word);
    }
    case 'text':
      return parseText(setting, raw);
    case 'url':
      return parseUrl(setting, raw);
    case 'redis-url':
      return parseRedis(setting, raw);
    case 'list':
      return parseList(setting, raw);
  }
}

/** What a setting accepts, in words that follow `expected`. */
export function describeExpected(setting: Setting): string {
  switch (setting.kind) {
    case 'integer':
      return `a whole number from ${setting.min} to ${setting.max}${setting.unit === undefined ? '' : ` (${setting.unit})`}`;
    case 'boolean':
      return '`true` or `false`';
    case 'choice':
      return `one of ${[...setting.choices, ...Object.keys(setting.synonyms ?? {})].map((word) => `\`${word}\``).join(', ')}`;
    case 'text':
      return setting.expected;
    case 'url':
      return `an absolute URL with ${setting.protocols.map((protocol) => `${protocol}//`).join(' or ')}${setting.isBase ? ', without query or fragment' : ''}`;
    case 'redis-url':
      return redisUrlForms;
    case 'list':
      return listItemWords[setting.item];
    case 'issuers':
      return 'a JSON array of trusted issuers';
  }
}

const listItemWords: Readonly<Record<ListSetting['item'], string>> = {
  host: '`name` or `name:port`, separated by commas',
  origin: '`scheme://name`, `scheme://name:port` or `scheme://name:*`, separated by commas',
  'address-range': 'IP addresses or ranges such as `10.0.0.0/8`, separated by commas',
  'encryption-key': '64 hexadecimal digits; several separated by commas',
};

function parseInteger(setting: IntegerSetting, raw: RawValue): Parsing<number> {
  const number = typeof raw === 'string' && /^-?\d{1,16}$/.test(raw.trim()) ? Number(raw) : raw;
  const isInside =
    typeof number === 'number' && Number.isInteger(number) && number >= setting.min && number <= setting.max;
  return isInside ? toValue(number) : toProblem(setting, raw, `expected ${describeExpected(setting)}`);
}

function parseBoolean(setting: Setting, raw: RawValue): Parsing<boolean> {
  if (raw === true || raw === 'true') return toValue(true);
  if (raw === false || raw === 'false') return toValue(false);
  return toProblem(setting, raw, `expected ${describeExpected(setting)}`);
}

function parseText(setting: TextSetting, raw: RawValue): Parsing<string> {
  return typeof raw === 'string' && new RegExp(`^(?:${setting.pattern})$`, 'u').test(raw)
    ? toValue(raw)
    : toProblem(setting, raw, `expected ${describeExpected(setting)}`);
}

function parseUrl(setting: UrlSetting, raw: RawValue): Parsing<string> {
  const url = typeof raw === 'string' && URL.canParse(raw) ? new URL(raw) : undefined;
  const hasParts =
    url !== undefined && (url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '');
  if (
    url === undefined ||
    !setting.protocols.includes(url.protocol) ||
    url.hostname === '' ||
    (setting.isBase && hasParts)
  ) {
    return toProblem(setting, raw, `expected ${describeExpected(setting)}`);
  }
  return toValue(setting.isBase ? url.href.replace(/\/+$/, '') : String(raw));
}

function parseRedis(setting: Setting, raw: RawValue): Parsing<string> {
  if (typeof raw !== 'string') return toProblem(setting, raw, `expected ${describeExpected(setting)}`);
  try {
    parseRedisUrl(raw);
    return toValue(raw);
  } catch (error) {
    // It says what is wrong without repeating anything of it.
    if (error instanceof TypeError) return { kind: 'problem', problem: error.message };
    throw error;
  }
}

function parseList(setting: ListSetting, raw: RawValue): Parsing<readonly string[]> {
  const parts = typeof raw === 'string' ? raw.split(',') : raw;
  if (typeof parts !== 'object' || parts.length > maxListItems) {
    return toProblem(setting, raw, `expected ${describeExpected(setting)}`);
  }
  const items = parts.map((part) => part.trim()).filter((part) => part !== '');
  const wrong = items.find((item) => !isListItem(setting.item, item));
  if (wrong !== undefined) return toProblem(setting, wrong, `expected ${describeExpected(setting)}`);
  return toValue(setting.item === 'encryption-key' ? items : items.map((item) => item.toLowerCase()));
}

function isListItem(kind: ListSetting['item'], item: string): boolean {
  switch (kind) {
    case 'host':
      return hostPattern.test(item.toLowerCase());
    case 'origin':
      return originPattern.test(item.toLowerCase());
    case 'address-range':
      return parseAddressRange(item) !== undefined;
    case 'encryption-key':
      return encryptionKeyPattern.test(item);
  }
}

function toSynonym(synonyms: Readonly<Record<string, string>> | undefined, raw: unknown): string | undefined {
  return typeof raw === 'string' && synonyms !== undefined && Object.hasOwn(synonyms, raw)
    ? synonyms[raw]
    : undefined;
}

function isRawValue(raw: unknown): raw is RawValue {
  if (Array.isArray(raw)) return raw.every((item) => typeof item === 'string');
  return typeof raw === 'string' || typeof raw === 'number' || typeof raw === 'boolean';
}

function toValue<Value>(value: Value): { readonly kind: 'value'; readonly value: Value } {
  return { kind: 'value', value };
}

function toProblem(
  setting: Setting,
  raw: unknown,
  expected: string,
): { readonly kind: 'problem'; readonly problem: string } {
  return { kind: 'problem', problem: setting.secret ? expected : `${expected}, found ${describeFound(raw)}` };
}

function describeFound(raw: unknown): string {
  if (Array.isArray(raw)) return 'a list';
  if (raw === null) return 'null';
  if (typeof raw === 'string') {
    // URLs that do not parse may still hold credentials.
    const text = raw.replace(/:\/\/[^/@]*@/, '://[secret]@');
    return JSON.stringify(
      text.length > maxShownCharacters ? `${text.slice(0, maxShownCharacters)}...` : text,
    );
  }
  return typeof raw === 'number' || typeof raw === 'boolean' ? String(raw) : `a value of type ${typeof raw}`;
}
