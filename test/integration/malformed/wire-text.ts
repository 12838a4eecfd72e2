/** JSON as text, wrong in every way that a client can write it: made as text, because a value cannot hold it all. */
import fc from 'fast-check';

/** Keys that mean something to JavaScript, to JSON-RPC or to us. */
const keys = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'valueOf',
  'toJSON',
  'then',
  'hasOwnProperty',
  'length',
  'polluted',
  'jsonrpc',
  'id',
  'method',
  'params',
  'result',
  'error',
  'code',
  'message',
  '_meta',
  'name',
  'uri',
  'arguments',
  'cursor',
  'requestState',
  'inputResponses',
  'progressToken',
  'action',
  'content',
  '',
  '\u0000',
  '\ud800',
  '0',
];

const strings = [
  '',
  ' ',
  '\u0000',
  '\ud800',
  '\udfff\ud800',
  '\r\nX: y',
  '\u2028\u2029',
  '\ufeff',
  '💥',
  '__proto__',
  'constructor',
  'toString',
  '../../etc/passwd',
  '%00',
  '%ff%fe',
  '%',
  '%2e%2e%2f',
  'thing://',
  'thing://a/items/',
  'thing://%ff/items/%',
  '=?base64??=',
  '=?base64?!!!?=',
  'null',
  'NaN',
  '2026-07-28',
  '2025-03-26',
  '1900-01-01',
  'x'.repeat(5000),
  '\ud800'.repeat(50),
];

const numbers = [
  '0',
  '-0',
  '1',
  '-1',
  '0.5',
  '-1.5',
  '1e3',
  '1E400',
  '-1e400',
  '5e-324',
  '9007199254740991',
  '9007199254740992',
  '-9007199254740993',
  '123456789012345678901234567890',
  `1${'0'.repeat(400)}`,
  '0.1e1',
];

const pollution = [
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"__proto__":null}',
  '{"toString":1,"valueOf":1}',
  '{"toString":null,"toJSON":"x","then":true}',
  '{"length":1e9}',
  '{"length":{"toString":null}}',
  '{"a":1,"a":2}',
];

/** A string's text. */
export const stringText: fc.Arbitrary<string> = fc
  .oneof(
    fc.constantFrom(...strings),
    fc.string({ maxLength: 20 }),
    fc.string({ unit: 'binary', maxLength: 10 }),
  )
  .map((text) => JSON.stringify(text));

const keyText = fc
  .oneof(
    { weight: 4, arbitrary: fc.constantFrom(...keys) },
    { weight: 1, arbitrary: fc.string({ maxLength: 8 }) },
  )
  .map((key) => JSON.stringify(key));

const leafText = fc.oneof(
  fc.constantFrom('null', 'true', 'false', '{}', '[]', '[[]]', '""'),
  fc.constantFrom(...numbers),
  fc.constantFrom(...pollution),
  stringText,
);

/** Any JSON value's text, a few levels deep, repeated keys included. */
export const valueText: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    { weight: 3, arbitrary: leafText },
    { weight: 1, arbitrary: fc.array(tie('value'), { maxLength: 3 }).map(toArrayText) },
    { weight: 1, arbitrary: fc.array(fc.tuple(keyText, tie('value')), { maxLength: 3 }).map(toObjectText) },
  ),
})).value;

/** Text that is nearly JSON. */
export const brokenText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    '{',
    '[',
    '"',
    'nul',
    'NaN',
    '[NaN]',
    '{"id":Infinity}',
    "{'a':1}",
    '{"a":1,}',
    '[1,]',
    '{"a"}',
    '01',
    '+1',
    '.5',
    '1.',
    '"\\x"',
    '"\\ud8"',
    '"\t"',
    '// a',
    '{}{}',
    '[][]',
    '\ufeff{}',
    '{}\u0000',
    '\u0000',
    '{"jsonrpc":"2.0"',
    'undefined',
    '{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}',
    '<?xml version="1.0"?>',
    'a=1&b=2',
  ),
  fc.string({ maxLength: 30 }),
  fc.tuple(valueText, fc.nat({ max: 40 })).map(([text, at]) => text.slice(0, at)),
  fc.tuple(valueText, valueText).map(([one, other]) => one + other),
);

/**
 * Documents that start from a right one and go wrong anywhere: a member missing, doubled, of another type, altered, or
 * one too many.
 */
export function mutated(document: unknown, sound = 14): fc.Arbitrary<string> {
  return fc.oneof(
    { withCrossShrink: true },
    { weight: sound, arbitrary: mutatedParts(document, sound) },
    { weight: 1, arbitrary: valueText },
    ...(typeof document === 'string' ? [{ weight: 1, arbitrary: tampered(document) }] : []),
  );
}

function mutatedParts(document: unknown, sound: number): fc.Arbitrary<string> {
  if (Array.isArray(document)) {
    return fc
      .tuple(...document.map((item: unknown) => mutated(item, sound)))
      .map((parts) => toArrayText(parts));
  }
  if (typeof document !== 'object' || document === null) return fc.constant(JSON.stringify(document));
  const members = Object.entries(document).map(([key, value]) => mutatedMember(key, value, sound));
  const extra = fc.oneof(
    { withCrossShrink: true },
    { weight: sound, arbitrary: fc.constant<Member[]>([]) },
    { weight: 1, arbitrary: fc.tuple(keyText, valueText).map((member): Member[] => [member]) },
  );
  return fc.tuple(...members, extra).map((parts) => toObjectText(parts.flat()));
}

type Member = readonly [string, string];

function mutatedMember(key: string, value: unknown, sound: number): fc.Arbitrary<Member[]> {
  const name = JSON.stringify(key);
  const text = mutated(value, sound);
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 2 * sound, arbitrary: text.map((one): Member[] => [[name, one]]) },
    { weight: 1, arbitrary: fc.constant<Member[]>([]) },
    {
      weight: 1,
      arbitrary: fc.tuple(text, valueText).map(([one, other]): Member[] => [
        [name, other],
        [name, one],
      ]),
    },
  );
}

/** A text with one place changed, cut or grown. */
export function tampered(text: string): fc.Arbitrary<string> {
  return fc
    .tuple(
      fc.nat({ max: Math.max(text.length - 1, 0) }),
      fc.constantFrom('', 'A', '-', '.', '\u0000', 'é'),
      fc.boolean(),
    )
    .map(([at, put, cuts]) =>
      JSON.stringify(cuts ? text.slice(0, at) + put : text.slice(0, at) + put + text.slice(at + 1)),
    );
}

function toArrayText(items: readonly string[]): string {
  return `[${items.join(',')}]`;
}

function toObjectText(members: readonly Member[]): string {
  return `{${members.map(([key, value]) => `${key}:${value}`).join(',')}}`;
}
