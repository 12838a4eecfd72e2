import { type Askable, origin } from './authorization-server.ts';

/**
 * A host as browsers and clients see it: asked for by its public name, redirects left to whoever asks.
 *
 * @param send carries a request to the host
 */
export function toAskable(send: (url: URL, init: RequestInit) => Promise<Response>): Askable {
  return {
    ask: async (target, { body, headers, method = body === undefined ? 'GET' : 'POST' } = {}) => {
      const url = new URL(target, origin);
      if (url.origin !== origin) throw new TypeError(`${url.origin} is not this host`);
      const type = typeof body === 'string' ? 'application/json' : 'application/x-www-form-urlencoded';
      const reply = await send(url, {
        method,
        headers: {
          host: url.host,
          ...(body !== undefined && { 'content-type': type }),
          ...headers,
        },
        ...(body !== undefined && { body: String(body) }),
        redirect: 'manual',
      });
      return {
        kind: 'full',
        status: reply.status,
        headers: Object.fromEntries([...reply.headers].filter(([name]) => name !== 'set-cookie')),
        cookies: reply.headers.getSetCookie(),
        body: await reply.text(),
      };
    },
  };
}
