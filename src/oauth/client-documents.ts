/**
 * Client ID Metadata Documents: a client that is known by the URL of its own description. The engine fetches, caches and
 * checks them; here is what it leaves to us. Addresses that are not public are kept away from in `public-fetch.ts`.
 *
 * @see MCP 2026-07-28, Client Registration; OAuth Client ID Metadata Document, draft-02
 */
import { readBounded } from '../lib/read-bounded.ts';
import { normalizeClientMetadata } from './client-metadata.ts';

type Fetch = typeof globalThis.fetch;

/** Longest document, and longest set of keys. The draft recommends 5 kB; real ones are smaller. */
const maxDocumentBytes = 16 * 1024;
const maxUrlLength = 1024;
const jsonType = /^application\/(?:[a-z0-9.-]+\+)?json\s*(?:;|$)/i;

/**
 * Whether the document of a client may be fetched at all. Without a path, the URL is that of a whole site and says
 * nothing about one client; with a query, one site has endless clients.
 */
export function isClientDocumentUrl(clientId: string): boolean {
  if (clientId.length > maxUrlLength || !URL.canParse(clientId)) return false;
  const { protocol, pathname, search, port } = new URL(clientId);
  return protocol === 'https:' && pathname !== '/' && search === '' && port === '';
}

/**
 * A `fetch` that makes of each document what our server takes, as `normalizeClientMetadata` does for registrations.
 * Other answers pass as they are, but for their length.
 */
export function createClientDocumentFetch(fetch: Fetch): Fetch {
  return async (input, init) => {
    const reply = await fetch(input, init);
    const url = String(input instanceof Request ? input.url : input);
    // Whatever it is: the engine reads keys of a client, which come the same way, to their end, and then looks at the status.
    const text = await readBounded(reply, maxDocumentBytes);
    // A reply that has no body may not be given one, not even an empty one.
    const asItIs = new Response(text === '' ? null : text, reply);
    if (!reply.ok || !isClientDocumentUrl(url)) return asItIs;
    const document = parse(text);
    // The engine refuses a document of another client.
    if (document?.['client_id'] !== url) return asItIs;
    if (!jsonType.test(reply.headers.get('content-type') ?? '')) return new Response('{}', { status: 422 });
    const normalized = normalizeClientMetadata(document);
    // MCP 2026-07-28: a document MUST name the client, so that users can be told who asks.
    if (normalized.kind === 'invalid' || normalized.metadata['client_name'] === undefined)
      return new Response('{}', { status: 422 });
    return new Response(JSON.stringify({ client_id: url, ...normalized.metadata }), {
      headers: toCacheHeaders(reply.headers),
    });
  };
}

function toCacheHeaders(headers: Headers): Record<string, string> {
  const kept: Record<string, string> = { 'content-type': 'application/json' };
  for (const name of ['cache-control', 'expires']) {
    const value = headers.get(name);
    if (value !== null) kept[name] = value;
  }
  return kept;
}

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
