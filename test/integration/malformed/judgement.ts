/** What every answer to every input must be. */
import type { Received, Sent } from './exchange.ts';
import { internalText } from './target-server.ts';

/** Signs of our insides: stack frames, paths, engine messages, SQL, names of our classes, keys. */
const insides: readonly RegExp[] = [
  /node_modules|file:\/\/|\bat Object\.|\bat async |\.[jt]s:\d+|\/tmp\/|\/home\/|\/root\//,
  /TypeError|RangeError|SyntaxError|ReferenceError|ZodError|SqliteError|LibsqlError/,
  /Cannot (read|convert|destructure|access)|is not a function|is not iterable|Unexpected token|in JSON at position/,
  /Maximum call stack|Invalid array length|Invalid string length|circular structure|\[object \w+\]/,
  /\bselect\b.+\bfrom\b|\binsert into\b|SQLITE_/i,
  /CallContext|HandlerFailure|LegacyExchange|ModernExchange|CallRounds|KeyAuthenticator|InputRequired\b/,
];

/** What is wrong with an answer, in words; `undefined` when nothing is. */
export function findFault(
  sent: Sent,
  received: Received,
  secrets: readonly string[] = [],
): string | undefined {
  const { status, headers, body } = received;
  if (status >= 500 || status < 200) return `status ${status}`;
  const told = `${body}${JSON.stringify(headers)}`;
  if (told.includes(internalText)) return "the handler's error text came out";
  if (secrets.some((secret) => secret !== '' && told.includes(secret))) return 'a secret came out';
  const inside = insides.find((pattern) => pattern.test(told));
  if (inside !== undefined) return `insides came out: ${String(inside.exec(told)?.[0])}`;
  const type = headers['content-type'];
  if (type === 'text/event-stream') return findStreamFault(sent, body);
  if (type === 'application/json')
    return isMcp(sent) ? findReplyFault(sent, status, body) : findJsonFault(body);
  if (body !== '' && isMcp(sent)) return `a body of type ${type}`;
  return status === 200 && isMcp(sent) ? 'no answer' : undefined;
}

function findJsonFault(body: string): string | undefined {
  return parse(body) === undefined && body !== '' ? 'the body is not JSON' : undefined;
}

function findReplyFault(sent: Sent, status: number, body: string): string | undefined {
  if (body === '' && sent.method === 'HEAD') return undefined;
  const value = parse(body);
  if (value === undefined) return 'the body is not JSON';
  if (!Array.isArray(value)) return findResponseFault(value, status, sent);
  const ids = idsOf(sent);
  if (value.length !== ids.length) return `${value.length} answers to ${ids.length} requests`;
  return value
    .map((one: unknown) => findResponseFault(one, status, sent))
    .find((fault) => fault !== undefined);
}

function findStreamFault(sent: Sent, body: string): string | undefined {
  // A stream that was let go may end in the middle of an event.
  const whole = body.slice(0, body.lastIndexOf('\n\n') + 2);
  for (const line of whole.split('\n')) {
    if (!/^(data|id|retry|event|)(:|$)/.test(line)) return `not an event stream: ${line.slice(0, 80)}`;
    if (!line.startsWith('data: ') || line === 'data: ') continue;
    const message = parse(line.slice('data: '.length));
    if (!isRecord(message) || message['jsonrpc'] !== '2.0') return 'an event that is not JSON-RPC';
    if (typeof message['method'] === 'string') continue;
    const fault = findResponseFault(message, 200, sent);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function findResponseFault(value: unknown, status: number, sent: Sent): string | undefined {
  const ids = idsOf(sent);
  if (!isRecord(value) || value['jsonrpc'] !== '2.0') return 'not a JSON-RPC response';
  const { id, result, error } = value;
  if ((result === undefined) === (error === undefined)) return 'result or error, and only one, is due';
  if (id !== undefined && !ids.includes(id)) return `answered id ${JSON.stringify(id)}, which was not sent`;
  if (error === undefined) return id === undefined ? 'a result without id' : undefined;
  if (!isRecord(error)) return 'error is not an object';
  const { code, message } = error;
  if (!Number.isInteger(code) || typeof message !== 'string' || message === '') return 'a malformed error';
  // What was refused in HTTP was not read as a message; what was read too deep was not walked; a response has no answer.
  if (code === status || /nested deeper|responses cannot be sent/.test(message)) return undefined;
  if (
    code === -32603 &&
    !/cancelled|longer than this server|Session terminated|before the client/.test(message)
  )
    return `told as a fault of ours: ${message}`;
  // A batch that holds what is no message is refused whole.
  return id === undefined && ids.length === 1 && !Array.isArray(parse(toText(sent)))
    ? 'the id could be read and was not echoed'
    : undefined;
}

/** Ids of the requests in a body, as any reader of JSON sees them. */
function idsOf(sent: Sent): readonly unknown[] {
  const value = parse(toText(sent));
  const messages: readonly unknown[] = Array.isArray(value) ? value : [value];
  return messages.flatMap((message) => {
    const id = isRecord(message) && Object.hasOwn(message, 'id') ? message['id'] : undefined;
    const isReadable = typeof id === 'string' || Number.isSafeInteger(id);
    const isResponse = isRecord(message) && message['method'] === undefined && Array.isArray(value);
    return isReadable && !isResponse ? [id] : [];
  });
}

function toText({ body = '' }: Sent): string {
  return typeof body === 'string' ? body : Buffer.from(body).toString('utf8');
}

function isMcp({ path }: Sent): boolean {
  return path === '/mcp' || path.startsWith('/mcp?');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
