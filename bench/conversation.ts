/** Clients that do more than call and wait: they hold streams open, and answer what they are asked. */
import { Agent, request, type IncomingMessage } from 'node:http';
import { type Endpoint, nextId, type Negotiated, openSession } from './wire.ts';

const streamsAtOnce = 64;
const notifyTimeoutMs = 60_000;
const clientCapabilities = { elicitation: {} };
const answerText = 'All that is gold does not glitter';

/** Where a question is asked, and where it is answered. */
export interface Question {
  readonly asks: Endpoint;
  readonly answers: Endpoint;
}

/** Streams that are held open. */
export interface HeldStreams {
  /** Resolves when each of them has said this word since. */
  waitForAll(word: string): Promise<void>;
  close(): void;
}

/** Calls a tool of a session and throws its answer away. @throws Error when it is not 200 */
export async function callTool(endpoint: Endpoint, session: Negotiated, name: string): Promise<void> {
  const reply = await send(endpoint, 'POST', session, toMessage('tools/call', { name, arguments: {} }));
  const text = await readAll(reply);
  if (reply.statusCode !== 200)
    throw new Error(`${name} was answered ${reply.statusCode}: ${text.slice(0, 200)}`);
}

/** Opens sessions, each with its standalone stream. */
export async function openStreams(endpoint: Endpoint, count: number): Promise<HeldStreams> {
  const replies: IncomingMessage[] = [];
  let left = count;
  const opener = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const reply = await send(endpoint, 'GET', await openSession(endpoint));
      if (reply.statusCode !== 200) throw new Error(`a stream was answered ${reply.statusCode}`);
      reply.setEncoding('utf8').on('data', () => undefined);
      replies.push(reply);
    }
  };
  await Promise.all(Array.from({ length: streamsAtOnce }, opener));
  return {
    waitForAll: (word) => {
      let missing = replies.length;
      return new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`${missing} of ${count} streams heard nothing`)),
          notifyTimeoutMs,
        );
        for (const reply of replies) {
          const listen = (chunk: string): void => {
            if (!chunk.includes(word)) return;
            reply.off('data', listen);
            missing -= 1;
            if (missing > 0) return;
            clearTimeout(timer);
            resolve();
          };
          reply.on('data', listen);
        }
      });
    },
    close: () => {
      for (const reply of replies) reply.destroy();
    },
  };
}

/**
 * A client with a session of its own.
 *
 * @returns asks once, answers, and tells how many milliseconds it took until the right result was there
 */
export async function createAsker({ asks, answers }: Question): Promise<() => Promise<number>> {
  const session = await openSession(asks, clientCapabilities);
  const [asking, answering] = [new Agent({ keepAlive: true }), new Agent({ keepAlive: true })];
  return async () => {
    const startedAt = performance.now();
    const call = toMessage('tools/call', { name: 'ask', arguments: {} });
    const reply = await send(asks, 'POST', session, call, asking);
    let text = '';
    let isAnswered = false;
    for await (const chunk of reply.setEncoding('utf8')) {
      text += String(chunk);
      const id = /"id":"([^"]+)","method":"elicitation\/create"/.exec(text)?.[1];
      if (isAnswered || id === undefined) continue;
      isAnswered = true;
      const result = { action: 'accept', content: { text: answerText } };
      const taken = await send(answers, 'POST', session, { jsonrpc: '2.0', id, result }, answering);
      await readAll(taken);
      if (taken.statusCode !== 202) throw new Error(`an answer was answered ${taken.statusCode}`);
    }
    if (!text.includes(`"id":${call.id}`) || text.split(answerText).length !== 2)
      throw new Error(`a wrong result: ${text.slice(-300)}`);
    return performance.now() - startedAt;
  };
}

function toMessage(method: string, params: unknown): { readonly id: number } {
  const message = { jsonrpc: '2.0', id: nextId(), method, params };
  return message;
}

function send(
  { url, token }: Endpoint,
  method: 'GET' | 'POST',
  { version, sessionId }: Negotiated,
  ...[message, agent]: [message?: unknown, agent?: Agent]
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const call = request(url, {
      method,
      agent: agent ?? false,
      headers: {
        Accept: method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
        'MCP-Protocol-Version': version,
        ...(message === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...(sessionId === undefined ? {} : { 'Mcp-Session-Id': sessionId }),
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      },
    });
    call.on('response', resolve).on('error', reject);
    call.end(message === undefined ? undefined : JSON.stringify(message));
  });
}

async function readAll(reply: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of reply.setEncoding('utf8')) text += String(chunk);
  return text;
}
