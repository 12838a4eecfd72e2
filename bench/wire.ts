/** What the benchmark sends, and how it knows that an answer is right. */

/** The revision a case speaks: 2026-07-28, or what a server negotiates of 2025. */
export type Era = 'modern' | 'legacy';

/** What every call asks `echo` to return. */
export const echoText = 'All that is gold does not glitter';

/** Ids have one width, so that a request's length never changes and its id can be written in place. */
const firstId = 1_000_000_000;

const modernVersion = '2026-07-28';
const legacyVersion = '2025-11-25';
const clientInfo = { name: 'bench', version: '1.0.0' };

/** Where a case's calls go. */
export interface Endpoint {
  readonly url: string;
  /** API key; peers are served without authentication. */
  readonly token: string | undefined;
}

/** One connection's call: the same bytes each time, but for the id. */
export interface CallTemplate {
  readonly host: string;
  readonly port: number;
  readonly bytes: Buffer;
  /** Where the digits of the id start in `bytes`. */
  readonly idOffset: number;
}

/** What `initialize` came to. */
export interface Negotiated {
  readonly version: string;
  readonly sessionId: string | undefined;
}

let lastId = firstId;

/** An id that no other call of this run has. */
export function nextId(): number {
  lastId += 1;
  return lastId;
}

/** Whether the text of an answer belongs to the call with this id and is what `echo` must say. */
export function isRightAnswer(answer: string, id: number): boolean {
  return answer.includes(`"id":${id}`) && answer.includes(echoText) && !answer.includes('"isError":true');
}

/**
 * Prepares one connection's call, opening a session for it when the era has sessions.
 *
 * @throws Error when the server refuses `initialize`
 */
export async function prepareCall(endpoint: Endpoint, era: Era): Promise<CallTemplate> {
  const headers: Record<string, string> = { ...baseHeaders(endpoint) };
  const params: Record<string, unknown> = { name: 'echo', arguments: { text: echoText } };
  if (era === 'modern') {
    Object.assign(headers, {
      'MCP-Protocol-Version': modernVersion,
      'Mcp-Method': 'tools/call',
      'Mcp-Name': 'echo',
    });
    params['_meta'] = {
      'io.modelcontextprotocol/protocolVersion': modernVersion,
      'io.modelcontextprotocol/clientInfo': clientInfo,
      'io.modelcontextprotocol/clientCapabilities': {},
    };
  } else {
    const { version, sessionId } = await openSession(endpoint);
    headers['MCP-Protocol-Version'] = version;
    if (sessionId !== undefined) headers['Mcp-Session-Id'] = sessionId;
  }
  return toTemplate(new URL(endpoint.url), headers, params);
}

/** The same call to another instance, e.g. of the same session. */
export function toCallAt(call: CallTemplate, url: string): CallTemplate {
  const target = new URL(url);
  const text = call.bytes.toString().replace(/\r\nHost: [^\r]+/, `\r\nHost: ${target.host}`);
  const bytes = Buffer.from(text);
  return {
    host: target.hostname,
    port: Number(target.port),
    bytes,
    idOffset: bytes.lastIndexOf(String(firstId)),
  };
}

/** Opens one legacy session and completes its handshake. */
export async function openSession(endpoint: Endpoint, capabilities: object = {}): Promise<Negotiated> {
  const headers = baseHeaders(endpoint);
  const params = { protocolVersion: legacyVersion, capabilities, clientInfo };
  const opened = await post(endpoint, headers, {
    jsonrpc: '2.0',
    id: nextId(),
    method: 'initialize',
    params,
  });
  if (opened.status !== 200)
    throw new Error(`initialize answered ${opened.status}: ${opened.body.slice(0, 200)}`);
  const version = /"protocolVersion":"([^"]+)"/.exec(opened.body)?.[1];
  if (version === undefined)
    throw new Error(`initialize named no protocol version: ${opened.body.slice(0, 200)}`);
  const session = opened.sessionId === null ? {} : { 'Mcp-Session-Id': opened.sessionId };
  const known = { ...headers, ...session, 'MCP-Protocol-Version': version };
  const done = await post(endpoint, known, { jsonrpc: '2.0', method: 'notifications/initialized' });
  if (done.status !== 202) throw new Error(`notifications/initialized answered ${done.status}`);
  return { version, sessionId: opened.sessionId ?? undefined };
}

function baseHeaders({ token }: Endpoint): Record<string, string> {
  return {
    'Content-Type': 'application/json',
    Accept: 'application/json, text/event-stream',
    'User-Agent': 'mooring-bench',
    ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
  };
}

async function post(
  { url }: Endpoint,
  headers: Record<string, string>,
  message: unknown,
): Promise<{ status: number; body: string; sessionId: string | null }> {
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(message) });
  const body = await response.text();
  return { status: response.status, body, sessionId: response.headers.get('mcp-session-id') };
}

function toTemplate(url: URL, headers: Record<string, string>, params: unknown): CallTemplate {
  const body = JSON.stringify({ jsonrpc: '2.0', id: firstId, method: 'tools/call', params });
  const lines = [
    `POST ${url.pathname} HTTP/1.1`,
    `Host: ${url.host}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`);
  return { host: url.hostname, port: Number(url.port), bytes, idOffset: bytes.lastIndexOf(String(firstId)) };
}
