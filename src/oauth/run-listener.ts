import type { RequestListener } from 'node:http';
import inject from 'light-my-request';
import type { FullReply, HttpRequest, ReplyHeaders } from '../http/messages.ts';

/** What reaches the listener in place of what came in. */
export interface ListenerChanges {
  /** Default: that of the request. */
  readonly path?: string;
  readonly query?: string;
  readonly body?: string;
  readonly contentType?: string;
}

/** Ours to say, or true only of one connection. */
const droppedRequestHeaders = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  // CORS is decided by the edge, for all routes alike.
  'origin',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
]);
const droppedReplyHeaders = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'date',
  'vary',
]);

/**
 * Lets a listener that was written for `node:http` answer a plain request, without a socket.
 *
 * @param publicUrl under which it believes to be reached, whatever the request says
 */
export async function runListener(
  listener: RequestListener,
  request: HttpRequest,
  { publicUrl, ...changes }: ListenerChanges & { readonly publicUrl: URL },
): Promise<FullReply> {
  const headers = Object.fromEntries(
    Object.entries(request.headers).filter(
      (entry): entry is [string, string | string[]] =>
        entry[1] !== undefined && !droppedRequestHeaders.has(entry[0]),
    ),
  );
  const query = changes.query ?? request.query;
  // The library's types know fewer methods than `node:http`; routes have only ones that it does.
  const method = request.method as 'GET' | 'POST' | 'HEAD';
  const answer = await inject(listener, {
    method,
    url: (changes.path ?? request.path) + (query === '' ? '' : `?${query}`),
    headers: {
      ...headers,
      ...(changes.contentType === undefined ? {} : { 'content-type': changes.contentType }),
      host: publicUrl.host,
      'x-forwarded-proto': publicUrl.protocol.slice(0, -1),
    },
    ...(method === 'POST' ? { payload: changes.body ?? request.body } : {}),
  });
  return {
    kind: 'full',
    status: answer.statusCode,
    headers: toReplyHeaders(answer.headers),
    cookies: [answer.headers['set-cookie'] ?? []].flat(),
    body: answer.payload,
  };
}

function toReplyHeaders(
  headers: Readonly<Record<string, number | string | string[] | undefined>>,
): ReplyHeaders {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined || name === 'set-cookie' || isDropped(name)
        ? []
        : [[name, Array.isArray(value) ? value.join(', ') : String(value)]],
    ),
  );
}

function isDropped(name: string): boolean {
  return droppedReplyHeaders.has(name) || name.startsWith('access-control-');
}
