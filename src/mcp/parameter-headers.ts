/**
 * Tool parameters that a client repeats as `Mcp-Param-*` headers, so that what routes on a header and what runs on
 * the body cannot disagree. MCP 2026-07-28, Streamable HTTP, Custom Headers from Tool Parameters.
 */
import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import { isRecord } from './json-rpc.ts';
import type { JsonSchema } from './server-definition.ts';

/** One annotated property. */
export interface ParameterHeader {
  /** Lower case, with the `mcp-param-` prefix. */
  readonly header: string;
  /** Property keys from the arguments' root. */
  readonly path: readonly string[];
  readonly type: 'string' | 'integer' | 'boolean';
}

const prefix = 'mcp-param-';
const fieldName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const sentinel = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/;
// RFC 9110, section 5.5: visible ASCII, space and tab.
const plainValue = /^[\t\x20-\x7e]*$/;
// Compared by value, so that 42.0 is 42; only what every reader takes for the same number.
const decimal = /^-?\d+(?:\.\d+)?$/;

/**
 * Finds the annotations of an input schema.
 *
 * @throws TypeError naming the annotation that breaks the rules; a client would hide the whole tool
 */
export function findParameterHeaders(schema: JsonSchema, label: string): readonly ParameterHeader[] {
  const found: ParameterHeader[] = [];
  const annotations = countAnnotations(schema);
  if (annotations === 0) return found;
  collect(schema, [], found, label);
  if (found.length !== annotations) {
    throw new TypeError(
      `${label}: x-mcp-header is only allowed on properties reached through "properties" alone`,
    );
  }
  const names = new Set(found.map(({ header }) => header));
  if (names.size !== found.length)
    throw new TypeError(`${label}: two properties share one x-mcp-header name`);
  return found;
}

/**
 * @param headers by lower-case name, values as received
 * @throws ProtocolError `-32020` when a header is missing, malformed, or disagrees with the arguments
 */
export function checkParameterHeaders(
  declared: readonly ParameterHeader[],
  headers: Readonly<Record<string, string>>,
  input: Readonly<Record<string, unknown>>,
): void {
  for (const { header, path, type } of declared) {
    const expected = readPath(input, path);
    const sent = headers[header];
    if (expected === undefined || expected === null) {
      if (sent !== undefined)
        throw mismatch(`${header} was sent but the arguments have no ${path.join('.')}`);
      continue;
    }
    if (sent === undefined) throw mismatch(`${header} is required: the arguments have ${path.join('.')}`);
    const value = decodeHeaderValue(sent);
    if (value === undefined) throw mismatch(`${header} is not a valid header value`);
    if (!agrees(value, expected, type))
      throw mismatch(`${header} does not match the arguments' ${path.join('.')}`);
  }
}

/** A header value with the base64 sentinel undone; `undefined` when it holds what a header must not. */
export function decodeHeaderValue(value: string): string | undefined {
  if (!plainValue.test(value)) return undefined;
  if (!(value.startsWith('=?base64?') && value.endsWith('?='))) return value;
  const encoded = sentinel.exec(value)?.[1];
  if (encoded === undefined || encoded.length % 4 !== 0) return undefined;
  const bytes = Buffer.from(encoded, 'base64');
  const text = bytes.toString('utf8');
  // Not UTF-8, or not canonical base64: the bytes do not come back.
  return Buffer.from(text, 'utf8').equals(bytes) && bytes.toString('base64') === encoded ? text : undefined;
}

function agrees(sent: string, expected: unknown, type: ParameterHeader['type']): boolean {
  if (type === 'integer')
    return Number.isSafeInteger(expected) && decimal.test(sent) && Number(sent) === expected;
  // The type first: what a client sends as an object may have no text at all.
  return typeof expected === type && sent === String(expected);
}

function readPath(input: Readonly<Record<string, unknown>>, path: readonly string[]): unknown {
  let value: unknown = input;
  for (const key of path) {
    if (!isRecord(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

function collect(schema: JsonSchema, path: readonly string[], found: ParameterHeader[], label: string): void {
  const { properties } = schema;
  if (!isRecord(properties)) return;
  for (const [key, property] of Object.entries(properties)) {
    if (!isRecord(property)) continue;
    const at = [...path, key];
    const name = property['x-mcp-header'];
    if (name !== undefined) found.push(toParameterHeader(name, property['type'], at, label));
    collect(property, at, found, label);
  }
}

function toParameterHeader(
  name: unknown,
  type: unknown,
  path: readonly string[],
  label: string,
): ParameterHeader {
  if (typeof name !== 'string' || !fieldName.test(name)) {
    throw new TypeError(`${label}: x-mcp-header of ${path.join('.')} must be an HTTP field name`);
  }
  if (type !== 'string' && type !== 'integer' && type !== 'boolean') {
    throw new TypeError(`${label}: x-mcp-header of ${path.join('.')} needs type string, integer or boolean`);
  }
  return { header: prefix + name.toLowerCase(), path, type };
}

function countAnnotations(value: unknown): number {
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + countAnnotations(item), 0);
  if (!isRecord(value)) return 0;
  const own = Object.hasOwn(value, 'x-mcp-header') && !isRecord(value['x-mcp-header']) ? 1 : 0;
  return Object.values(value).reduce<number>((sum, item) => sum + countAnnotations(item), own);
}

function mismatch(problem: string): ProtocolError {
  return new ProtocolError(protocolErrorCodes.headerMismatch, `Header mismatch: ${problem}`);
}
