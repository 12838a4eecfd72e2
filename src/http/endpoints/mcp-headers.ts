/**
 * What the headers of an MCP request must say, before and against its body.
 */
import { ProtocolError, protocolErrorCodes, RequestError } from '../../errors.ts';
import { decodeHeaderValue } from '../../mcp/parameter-headers.ts';
import type { JsonRpcRequest } from '../../mcp/protocol-types.ts';
import { type RequestHeaders, toHeader } from '../messages.ts';

const both = 'application/json, text/event-stream';

/** @throws RequestError `unsupported_media_type` (415). MCP 2026-07-28, Streamable HTTP, Sending Messages */
export function requireJsonBody(headers: RequestHeaders): void {
  const type = toHeader(headers, 'content-type');
  if (type === 'application/json') return;
  const essence = type?.split(';', 1)[0]?.trim().toLowerCase();
  if (essence === 'application/json') return;
  throw new RequestError('unsupported_media_type', 'Content-Type must be application/json');
}

/**
 * A client MUST accept both kinds of answer; which one it gets is for the server to choose.
 *
 * @throws RequestError `not_acceptable` (406)
 */
export function requireBothAccepted(headers: RequestHeaders): void {
  const accept = toHeader(headers, 'accept');
  if (accept === both || accept === undefined) return;
  if (accepts(accept, 'application/json') && accepts(accept, 'text/event-stream')) return;
  throw new RequestError('not_acceptable', 'Accept must list both application/json and text/event-stream');
}

/** @throws RequestError `not_acceptable` (406) */
export function requireEventStreamAccepted(headers: RequestHeaders): void {
  const accept = toHeader(headers, 'accept');
  if (accept !== undefined && accepts(accept, 'text/event-stream')) return;
  throw new RequestError('not_acceptable', 'Accept must list text/event-stream');
}

function accepts(accept: string, type: string): boolean {
  const [family] = type.split('/', 1);
  return accept.split(',').some((range) => {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    // RFC 9110, section 12.4.2: a weight of 0 means not acceptable.
    if (parameters.some((parameter) => /^q=0(\.0{0,3})?$/.test(parameter))) return false;
    return name === type || name === '*/*' || name === `${family}/*`;
  });
}

/** Where each method's `Mcp-Name` comes from. MCP 2026-07-28, Streamable HTTP, Standard Request Headers. */
const nameSources: Readonly<Record<string, 'name' | 'uri'>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
};

/**
 * @throws ProtocolError `-32020` when the version header is missing or is not what the body says
 */
export function checkVersionHeader(headers: RequestHeaders, claimed: unknown): void {
  const version = toHeader(headers, 'mcp-protocol-version');
  if (version === undefined) throw mismatch('MCP-Protocol-Version is required');
  // A body that claims nothing is malformed in itself, and told so.
  if (claimed !== undefined && version !== claimed)
    throw mismatch('MCP-Protocol-Version does not match the version in _meta');
}

/**
 * @throws ProtocolError `-32020` when `Mcp-Method` or `Mcp-Name` is missing, malformed, or not what the body says
 */
export function checkRequestHeaders(headers: RequestHeaders, { method, params }: JsonRpcRequest): void {
  const sentMethod = toHeader(headers, 'mcp-method');
  if (sentMethod === undefined) throw mismatch('Mcp-Method is required');
  if (sentMethod !== method) throw mismatch('Mcp-Method does not match the method in the body');
  const source = Object.hasOwn(nameSources, method) ? nameSources[method] : undefined;
  if (source === undefined) return;
  const expected = params?.[source];
  const sentName = toHeader(headers, 'mcp-name');
  if (sentName === undefined) throw mismatch('Mcp-Name is required');
  if (sentName === expected && !sentName.startsWith('=?')) return;
  const name = decodeHeaderValue(sentName);
  if (name === undefined) throw mismatch('Mcp-Name is not a valid header value');
  if (name !== expected) throw mismatch(`Mcp-Name does not match params.${source} in the body`);
}

/** `Mcp-Param-*` headers by lower-case name. */
export function toParameterHeaders(headers: RequestHeaders): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith('mcp-param-') && value !== undefined)
      found[name] = typeof value === 'string' ? value : value.join(', ');
  }
  return found;
}

function mismatch(problem: string): ProtocolError {
  return new ProtocolError(protocolErrorCodes.headerMismatch, `Header mismatch: ${problem}`);
}
