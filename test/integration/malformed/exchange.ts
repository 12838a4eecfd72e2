/** One request and what came back, through the host's two doors: `host.fetch` and its socket. */
import { Agent, type IncomingMessage, request as openRequest } from 'node:http';
import type { TargetHost } from './target-host.ts';

/** A request, as right or wrong as the test wants it. */
export interface Sent {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** Names may repeat. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string | Uint8Array | undefined;
}

/** What came back. */
export interface Received {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** All of it, or of a stream what came until it was let go. */
  readonly body: string;
}

/** A way to the host. `undefined`: the door itself refused to send that. */
export type Door = (sent: Sent) => Promise<Received | undefined>;

/** Nothing here takes this long; what does hangs. */
export const exchangeTimeoutMs = 15_000;
const maxReadChars = 8_000_000;

/** Through `host.fetch`. */
export function createFetchDoor(target: TargetHost): Door {
  return async (sent) => {
    const request = toWebRequest(sent);
    if (request === undefined) return undefined;
    const response = await within(target.host.fetch(request), sent);
    const headers = Object.fromEntries(response.headers);
    if (response.body === null) return { status: response.status, headers, body: '' };
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let body = '';
    for (;;) {
      if (isOpenEnded(headers, sent, body)) {
        await reader.cancel();
        break;
      }
      const { done, value } = await within(reader.read(), sent);
      if (done) break;
      body = (body + value).slice(0, maxReadChars);
    }
    return { status: response.status, headers, body };
  };
}

/** Through the socket, over connections that are kept. */
export function createHttpDoor(target: TargetHost): Door & { close(): void } {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  const send: Door = async (sent) => {
    const { hostname, port } = new URL(target.origin);
    let request: ReturnType<typeof openRequest>;
    try {
      const headers: Record<string, string[]> = {};
      for (const [name, value] of sent.headers) (headers[name.toLowerCase()] ??= []).push(value);
      // Node's client leaves it out for methods that rarely have a body, and sends the body all the same.
      if (sent.body !== undefined) headers['content-length'] = [String(Buffer.byteLength(sent.body))];
      request = openRequest({ hostname, port, agent, method: sent.method, path: sent.path, headers });
    } catch {
      return undefined;
    }
    const received = new Promise<Received>((resolve, reject) => {
      request.on('error', reject).on('response', (response) => {
        readReply(response, sent).then(resolve, reject);
      });
    });
    request.end(sent.body);
    return within(received, sent);
  };
  return Object.assign(send, {
    close: () => {
      agent.destroy();
    },
  });
}

async function readReply(response: IncomingMessage, sent: Sent): Promise<Received> {
  const headers = Object.fromEntries(
    Object.entries(response.headers).map(([name, value]) => [name, String(value)]),
  );
  let body = '';
  response.setEncoding('utf8');
  if (!isOpenEnded(headers, sent, body)) {
    for await (const chunk of response) {
      body = (body + String(chunk)).slice(0, maxReadChars);
      if (isOpenEnded(headers, sent, body)) break;
    }
  }
  response.destroy();
  return { status: response.statusCode ?? 0, headers, body };
}

function toWebRequest({ method, path, headers, body }: Sent): Request | undefined {
  try {
    // A copy, as the type of a body asks for.
    const bytes = typeof body === 'object' ? new Uint8Array(body) : body;
    return new Request(`http://127.0.0.1${path}`, {
      method,
      headers: headers.map(([name, value]): [string, string] => [name, value]),
      ...(bytes === undefined ? {} : { body: bytes }),
    });
  } catch {
    return undefined;
  }
}

/** Streams that only their client ends: the GET stream, and a subscription once it was acknowledged. */
function isOpenEnded(headers: Readonly<Record<string, string>>, sent: Sent, body: string): boolean {
  if (headers['content-type'] !== 'text/event-stream') return false;
  return sent.method === 'GET' || body.includes('notifications/subscriptions/acknowledged');
}

/** @throws Error when it takes too long: that is what a hang looks like */
export async function within<Value>(work: Promise<Value>, sent: unknown): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no end after ${exchangeTimeoutMs} ms: ${JSON.stringify(sent).slice(0, 500)}`));
    }, exchangeTimeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
