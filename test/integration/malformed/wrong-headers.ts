/** Headers that are wrong in every way that an HTTP library will send. */
import fc from 'fast-check';

/** A name and a value; names may repeat. */
export type Header = readonly [string, string];

const wrongValues = [
  '',
  ' ',
  ',',
  ';',
  '*',
  '*/*',
  '*/*;q=0',
  'application/json',
  'application/json;charset=utf-16',
  'application/json; q',
  'text/plain',
  'text/event-stream',
  'text/event-stream;q=0, application/json',
  'multipart/form-data; boundary=x',
  'APPLICATION/JSON',
  'application/json, text/event-stream',
  'gzip',
  'br, identity',
  'identity',
  '2026-07-28',
  '2025-03-26',
  '1.0',
  '2026-07-28, 2026-07-28',
  'tools/call',
  'TOOLS/CALL',
  'echo',
  '=?base64?ZWNobw==?=',
  '=?base64?ZWNobw?=',
  '=?base64?!?=',
  '=?base64?/w==?=',
  '=?base64??=',
  '=?base64?',
  '?=',
  'null',
  '__proto__',
  'constructor',
  'Bearer',
  'Bearer ',
  'Bearer x',
  'Basic eDp5',
  'bearer mooring_mcp_00',
  'Bearer a, Bearer b',
  '-1',
  '0',
  '1e9',
  '99999999999999999999',
  'x'.repeat(3000),
  '0.1',
  '1-0',
  'AAAA-1',
  '\u00ff\u00fe',
  '\t',
  'http://localhost',
  'https://evil.example',
  'null',
  '127.0.0.1',
  'evil.example',
  '[::1]',
  'localhost:99999',
];

const names = [
  'Authorization',
  'Content-Type',
  'Accept',
  'Mcp-Protocol-Version',
  'Mcp-Method',
  'Mcp-Name',
  'Mcp-Session-Id',
  'Last-Event-ID',
  'Mcp-Param-Region',
  'Mcp-Param-Count',
  'Mcp-Param-Dry',
  'Mcp-Param-Deep',
  'Mcp-Param-__proto__',
  'Mcp-Param-',
  'Content-Encoding',
  'Accept-Encoding',
  'Origin',
  'Host',
  'X-Request-Id',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'Forwarded',
  'Cookie',
  'Range',
  'If-None-Match',
  'Traceparent',
  'Baggage',
  '__proto__',
  'constructor',
  'Access-Control-Request-Method',
  'Access-Control-Request-Headers',
  'Expect',
  'Upgrade',
  'Connection',
  'TE',
  'Trailer',
  'Content-Length',
  'Transfer-Encoding',
];

/** A header value that is wrong nearly everywhere. */
export const wrongValue: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...wrongValues) },
  { weight: 1, arbitrary: fc.string({ maxLength: 20 }) },
  { weight: 1, arbitrary: fc.base64String({ maxLength: 24 }).map((text) => `=?base64?${text}?=`) },
);
const wrongHeader = fc.tuple(fc.constantFrom(...names), wrongValue);

/** Headers that the door itself would use or wait on are for the sockets' own suite. */
export const ofTheDoor: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'connection',
  'upgrade',
  'expect',
  'te',
  'trailer',
]);

/** Right headers gone wrong: missing, doubled, with another value, or with ones that nobody asked for. */
export function mutatedHeaders(headers: readonly Header[]): fc.Arbitrary<readonly Header[]> {
  const each = headers.map(([name, value]) =>
    fc.oneof(
      { withCrossShrink: true },
      { weight: 10, arbitrary: fc.constant<Header[]>([[name, value]]) },
      { weight: 1, arbitrary: fc.constant<Header[]>([]) },
      {
        weight: 1,
        arbitrary: fc.constant<Header[]>([
          [name, value],
          [name, value],
        ]),
      },
      { weight: 1, arbitrary: wrongValue.map((wrong): Header[] => [[name, wrong]]) },
      {
        weight: 1,
        arbitrary: wrongValue.map((wrong): Header[] => [
          [name, value],
          [name, wrong],
        ]),
      },
    ),
  );
  return fc.tuple(...each, fc.array(wrongHeader, { maxLength: 2 })).map((parts) => parts.flat());
}
