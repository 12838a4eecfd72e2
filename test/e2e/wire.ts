/** Messages as they are on the wire, for tests that must see status, headers and events for themselves. */

/** Where to send to, and as whom. */
export interface Target {
  readonly url: string;
  readonly key: string;
}

/** A JSON-RPC message that came back. */
export interface WireMessage {
  readonly id?: number | string | null;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly code: number; readonly message: string };
}

/** One Server-Sent Event. */
export interface WireEvent {
  readonly id: string | undefined;
  readonly data: string;
  readonly retry: number | undefined;
}

const latestLegacy = '2025-11-25';
const modernVersion = '2026-07-28';

/** The headers of every POST. */
export function toHeaders(key: string, more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    Authorization: `Bearer ${key}`,
    'Content-Type': 'application/json',
    Accept: 'application/json, text/event-stream',
    ...more,
  };
}

/** A request of the 2026-07-28 revision, ready for `fetch`. */
export function toModernRequest(
  key: string,
  method: string,
  params: Record<string, unknown> = {},
  options: { readonly id?: number; readonly capabilities?: object } = {},
): RequestInit {
  const { id = 1, capabilities = {} } = options;
  const name = params['name'] ?? params['uri'];
  return {
    method: 'POST',
    headers: toHeaders(key, {
      'MCP-Protocol-Version': modernVersion,
      'Mcp-Method': method,
      ...(typeof name === 'string' ? { 'Mcp-Name': name } : {}),
    }),
    body: JSON.stringify({
      jsonrpc: '2.0',
      id,
      method,
      params: {
        ...params,
        _meta: {
          ...(params['_meta'] as object | undefined),
          'io.modelcontextprotocol/protocolVersion': modernVersion,
          'io.modelcontextprotocol/clientInfo': { name: 'wire', version: '1' },
          'io.modelcontextprotocol/clientCapabilities': capabilities,
        },
      },
    }),
  };
}

/** Sends a request of the 2026-07-28 revision. */
export function postModern(
  { url, key }: Target,
  method: string,
  params?: Record<string, unknown>,
  signal?: AbortSignal,
): Promise<Response> {
  return fetch(url, { ...toModernRequest(key, method, params), ...(signal === undefined ? {} : { signal }) });
}

/** Calls a tool and gives what it returned; throws what went wrong. */
export async function callModern(
  target: Target,
  name: string,
  args: Record<string, unknown> = {},
): Promise<Record<string, unknown>> {
  const reply = await postModern(target, 'tools/call', { name, arguments: args });
  const { result, error } = await readMessage(reply);
  if (result === undefined) throw new Error(`${name}: ${reply.status} ${JSON.stringify(error)}`);
  return result;
}

/** Opens a legacy session. @returns its id */
export async function initialize(
  { url, key }: Target,
  protocolVersion: string = latestLegacy,
): Promise<string> {
  const reply = await fetch(url, {
    method: 'POST',
    headers: toHeaders(key),
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 0,
      method: 'initialize',
      params: { protocolVersion, capabilities: {}, clientInfo: { name: 'wire', version: '1' } },
    }),
  });
  const session = reply.headers.get('mcp-session-id');
  if (session === null) throw new Error(`initialize: ${reply.status} ${await reply.text()}`);
  return session;
}

/** Sends one message in a legacy session. */
export function postLegacy(
  { url, key }: Target,
  session: string,
  message: { readonly id?: number; readonly method: string; readonly params?: Record<string, unknown> },
  signal?: AbortSignal,
): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: toHeaders(key, { 'Mcp-Session-Id': session, 'MCP-Protocol-Version': latestLegacy }),
    body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Opens a session's GET stream, or resumes a stream behind an event. */
export function getStream(
  { url, key }: Target,
  session: string,
  options: { readonly lastEventId?: string; readonly signal?: AbortSignal } = {},
): Promise<Response> {
  const { lastEventId, signal } = options;
  return fetch(url, {
    headers: {
      Authorization: `Bearer ${key}`,
      Accept: 'text/event-stream',
      'Mcp-Session-Id': session,
      'MCP-Protocol-Version': latestLegacy,
      ...(lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId }),
    },
    ...(signal === undefined ? {} : { signal }),
  });
}

/** The answer of a reply: its body, or the last message of its stream. */
export async function readMessage(reply: Response): Promise<WireMessage> {
  if (!isEventStream(reply)) return (await reply.json()) as WireMessage;
  let last: WireMessage = {};
  for await (const { data } of readEvents(reply)) if (data !== '') last = JSON.parse(data) as WireMessage;
  return last;
}

/** Whether a reply is a stream of events. */
export function isEventStream(reply: Response): boolean {
  return reply.headers.get('content-type')?.startsWith('text/event-stream') === true;
}

/** The events of a reply until it ends; rejects when the connection is cut. */
export async function* readEvents(reply: Response): AsyncGenerator<WireEvent> {
  if (!isEventStream(reply) || reply.body === null) {
    throw new Error(`not a stream: ${reply.status} ${await reply.text()}`);
  }
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of reply.body) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = parseEvent(block);
      if (event !== undefined) yield event;
    }
  }
}

/** Events that carry a message: not those that only say where a stream goes on. */
export function toMessages(events: readonly WireEvent[]): readonly WireEvent[] {
  return events.filter(({ data }) => data !== '');
}

/** Collects a stream's events beside the test; `ended` tells how it ended. */
export function collectEvents(reply: Response): {
  readonly events: WireEvent[];
  readonly ended: Promise<'closed' | 'cut'>;
} {
  const events: WireEvent[] = [];
  const collect = async (): Promise<'closed' | 'cut'> => {
    try {
      for await (const event of readEvents(reply)) events.push(event);
      return 'closed';
    } catch {
      return 'cut';
    }
  };
  return { events, ended: collect() };
}

/** A block of comments alone is no event. */
function parseEvent(block: string): WireEvent | undefined {
  const fields = new Map<string, string>();
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    if (colon <= 0) continue;
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).replace(/^ /, '');
    fields.set(name, fields.has(name) ? `${fields.get(name)}\n${value}` : value);
  }
  if (fields.size === 0) return undefined;
  const retry = fields.get('retry');
  return {
    id: fields.get('id'),
    data: fields.get('data') ?? '',
    retry: retry === undefined ? undefined : Number(retry),
  };
}
