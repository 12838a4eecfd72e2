/** What the tally counts a failed call as: a name that says what the caller was told. */

/** A caller's own wait ended: it was told nothing. */
export const silent = 'silent';

/** How a call that failed is told apart from others. Anything that a client library or `fetch` throws. */
export function toFailureKind(error: unknown): string {
  const parts = toChain(error);
  for (const { data, status, code, name, message } of parts) {
    if (data?.reason !== undefined) return data.reason;
    const told = status ?? data?.status;
    if (told !== undefined) return `HTTP ${told}`;
    if (code === 'REQUEST_TIMEOUT' || name === 'TimeoutError') return silent;
    // The host's JSON-RPC code for what it tells in HTTP is the HTTP status.
    if (typeof code === 'number') return code > 0 ? `HTTP ${code}` : `JSON-RPC ${code}: ${message}`;
  }
  const text = parts.map(({ message }) => message).join(': ');
  const isCut = /fetch failed|terminated|ECONN|socket|other side closed|SEND_FAILED/i.test(text);
  return isCut ? 'connection lost' : `other: ${text.slice(0, 120)}`;
}

interface ErrorPart {
  readonly name?: string;
  readonly message: string;
  readonly code?: unknown;
  readonly status?: number;
  readonly data?: { readonly reason?: string; readonly status?: number };
}

/** An error and its causes, outermost first. */
function toChain(error: unknown): readonly ErrorPart[] {
  const parts: ErrorPart[] = [];
  for (let at: unknown = error; at instanceof Error && parts.length < 5; at = at.cause) parts.push(at);
  return parts.length === 0 ? [{ message: String(error) }] : parts;
}
