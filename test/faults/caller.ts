/** Those who call the fleet while faults happen, each in its own way, all with one face. */
import { Client, type FetchLike, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as FirstClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as FirstTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import {
  initialize,
  isEventStream,
  postLegacy,
  postModern,
  readEvents,
  getStream,
  type Target,
  type WireMessage,
} from '../e2e/wire.ts';

/** The tools of the ledger server that a caller can call. */
export type CallName = 'record' | 'stream' | 'ask';

/** What a call came to. Throws when it failed. */
export interface Call {
  readonly name: CallName;
  readonly args: Readonly<Record<string, unknown>>;
  /** Told each number that arrives, as it arrives. */
  onStep(step: number): void;
}

/** A client with one session, or without any. */
export interface Caller {
  readonly name: string;
  readonly era: 'legacy' | 'modern';
  /** Which tools it can call. */
  readonly calls: readonly CallName[];
  /** @returns the text that the tool answered. Rejects with what went wrong; a `TimeoutError` when nothing came in time */
  call(call: Call): Promise<string>;
  close(): Promise<void>;
}

/** What the callers saw of the protocol beneath them. */
export interface Sight {
  /** Requests to open a session, which clients repeat when they believe to have lost theirs. */
  initialized: number;
  /** Answers to questions that the balancer could not deliver. Nobody sends them again. */
  undeliveredAnswers: number;
  /** Replies by their status. */
  readonly statuses: Map<number, number>;
}

/** How long a caller waits for the end of a call: beyond the bound of the tests, so that silence is seen as such. */
export const patienceMs = 15_000;
const retryMs = 50;

/** Its own patience with reconnections must not end before the bound of the tests. */
const reconnectionOptions = {
  initialReconnectionDelay: retryMs,
  maxReconnectionDelay: 4 * retryMs,
  reconnectionDelayGrowFactor: 2,
  maxRetries: 1000,
};
const elicitation = {};
const accepted = { action: 'accept' as const, content: { name: 'Ada' } };

/** The SDK's own client. */
export async function connectSdk(target: Target, era: 'legacy' | 'modern', sight: Sight): Promise<Caller> {
  const client = new Client(
    { name: 'caller', version: '1' },
    { capabilities: { elicitation }, versionNegotiation: { mode: era === 'legacy' ? 'legacy' : 'auto' } },
  );
  const cuts: Cuts = new Map();
  client.setRequestHandler('elicitation/create', () => accepted);
  await client.connect(
    new StreamableHTTPClientTransport(new URL(target.url), {
      requestInit: { headers: { Authorization: `Bearer ${target.key}` } },
      reconnectionOptions,
      fetch: toSeeing(sight, (call) => cuts.get(call)?.(new Error('terminated'))),
    }),
  );
  return toCaller(`SDK v2, ${era}`, era, {
    cuts,
    callTool: ({ name, args, onStep }) =>
      client.callTool(
        { name, arguments: { ...args } },
        { timeout: patienceMs, onprogress: ({ progress }) => onStep(progress) },
      ),
    close: () => client.close(),
  });
}

/** The client of the SDK's first major version. */
export async function connectFirstSdk(target: Target, sight: Sight): Promise<Caller> {
  const client = new FirstClient({ name: 'caller', version: '1' }, { capabilities: { elicitation } });
  const cuts: Cuts = new Map();
  client.setRequestHandler(ElicitRequestSchema, () => accepted);
  const transport = new FirstTransport(new URL(target.url), {
    requestInit: { headers: { Authorization: `Bearer ${target.key}` } },
    reconnectionOptions,
    fetch: toSeeing(sight, (call) => cuts.get(call)?.(new Error('terminated'))),
  });
  // The SDK's own classes disagree under exactOptionalPropertyTypes.
  await client.connect(transport as Parameters<typeof client.connect>[0]);
  return toCaller('SDK v1', 'legacy', {
    cuts,
    callTool: async ({ name, args, onStep }) => {
      const result = await client.callTool({ name, arguments: { ...args } }, CallToolResultSchema, {
        timeout: patienceMs,
        onprogress: ({ progress }) => onStep(progress),
      });
      return CallToolResultSchema.parse(result);
    },
    close: () => client.close(),
  });
}

type Cuts = Map<unknown, (error: Error) => void>;

/** A client of the SDK as a caller. Of a stream that broke and cannot be resumed, it tells the call nothing: `cuts` do. */
function toCaller(
  name: string,
  era: Caller['era'],
  client: {
    readonly cuts: Cuts;
    readonly callTool: (
      call: Call,
    ) => Promise<{ readonly content: readonly { readonly type: string; readonly text?: unknown }[] }>;
    readonly close: () => Promise<void>;
  },
): Caller {
  return {
    name,
    era,
    calls: ['record', 'stream', 'ask'],
    call: async (call) => {
      const id = call.args['call'];
      const cut = new Promise<never>((_resolve, reject) => client.cuts.set(id, reject));
      const called = client.callTool(call);
      try {
        const [first] = (await Promise.race([called, cut])).content;
        return first?.type === 'text' ? String(first.text) : '';
      } finally {
        client.cuts.delete(id);
        // One that was cut ends much later; nobody waits for it.
        called.catch(() => undefined);
      }
    },
    close: () => client.close(),
  };
}

/**
 * No library between: what is on the wire. Resumes with `Last-Event-ID` when its stream is cut.
 *
 * @param options.cutAfter it cuts its streams itself, each time that it has read so many messages. Default never
 */
export async function connectRawLegacy(
  target: Target,
  sight: Sight,
  options: { readonly cutAfter?: number } = {},
): Promise<Caller> {
  const { cutAfter = Infinity } = options;
  const session = await initialize(target);
  sight.initialized += 1;
  let nextId = 1;
  return {
    name: cutAfter === Infinity ? 'raw, legacy' : 'raw, legacy, cutting its streams',
    era: 'legacy',
    calls: ['record', 'stream'],
    call: async (call) => {
      const signal = AbortSignal.timeout(patienceMs);
      const message = { id: (nextId += 1), method: 'tools/call', params: toParams(call) };
      let reply = see(sight, await postLegacy(target, session, message, signal));
      let lastEventId: string | undefined;
      for (;;) {
        const read = await readReply(reply, call, { cutAfter, onEventId: (id) => (lastEventId = id) });
        if (read.kind === 'answered') return toText(read.message);
        if (lastEventId === undefined) throw read.error;
        reply = await resume(target, session, { lastEventId, signal, sight });
      }
    },
    close: async () => undefined,
  };
}

/** One POST for each call, nothing to resume. */
export function connectRawModern(target: Target, sight: Sight): Caller {
  return {
    name: 'raw, modern',
    era: 'modern',
    calls: ['record', 'stream'],
    call: async (call) => {
      const signal = AbortSignal.timeout(patienceMs);
      const reply = see(sight, await postModern(target, 'tools/call', toParams(call), signal));
      const read = await readReply(reply, call);
      if (read.kind === 'answered') return toText(read.message);
      throw read.error;
    },
    close: async () => undefined,
  };
}

/** @param onCut told of a call whose stream broke and cannot be resumed: of that the SDK tells the call nothing */
function toSeeing(sight: Sight, onCut: (call: unknown) => void): FetchLike {
  return async (url, init) => {
    const body = typeof init?.body === 'string' ? init.body : '';
    if (body.includes('"method":"initialize"')) sight.initialized += 1;
    const reply = see(sight, await fetch(url, init));
    if (reply.status === 502 && isAnswer(body)) sight.undeliveredAnswers += 1;
    if (reply.body === null || !isEventStream(reply) || !body.includes('"tools/call"')) return reply;
    const { params } = JSON.parse(body) as { params: { arguments: { call: unknown } } };
    const watched = watchStream(reply.body, () => onCut(params.arguments.call));
    return new Response(watched, { status: reply.status, headers: reply.headers });
  };
}

function isAnswer(body: string): boolean {
  return body.includes('"result"') && !body.includes('"method"');
}

function watchStream(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  onCut: () => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let isResumable = false;
  return new ReadableStream({
    pull: async (controller) => {
      try {
        const { done, value } = await reader.read();
        if (done) {
          controller.close();
          return;
        }
        isResumable ||= /^id: /m.test(decoder.decode(value, { stream: true }));
        controller.enqueue(value);
      } catch (error) {
        controller.error(error);
        if (!isResumable) onCut();
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

function see(sight: Sight, reply: Response): Response {
  sight.statuses.set(reply.status, (sight.statuses.get(reply.status) ?? 0) + 1);
  return reply;
}

function toParams({ name, args }: Call): Record<string, unknown> {
  return { name, arguments: args, _meta: { progressToken: 'steps' } };
}

type Read =
  | { readonly kind: 'answered'; readonly message: WireMessage }
  | { readonly kind: 'cut'; readonly error: Error };

async function readReply(
  reply: Response,
  call: Call,
  options: { readonly cutAfter?: number; readonly onEventId?: (id: string) => void } = {},
): Promise<Read> {
  let messagesLeft = options.cutAfter ?? Infinity;
  if (!reply.ok) throw Object.assign(new Error(await reply.text()), { status: reply.status });
  if (!isEventStream(reply)) return { kind: 'answered', message: (await reply.json()) as WireMessage };
  try {
    for await (const { id, data } of readEvents(reply)) {
      if (id !== undefined) options.onEventId?.(id);
      if (data === '') continue;
      const message = JSON.parse(data) as WireMessage;
      if (message.method === undefined) return { kind: 'answered', message };
      onStepOf(message, call);
      messagesLeft -= 1;
      if (messagesLeft === 0) return { kind: 'cut', error: new Error('terminated: by the caller') };
    }
  } catch (error) {
    if (error instanceof Error && error.name === 'TimeoutError') throw error;
    return { kind: 'cut', error: new Error('terminated', { cause: error }) };
  }
  return { kind: 'cut', error: new Error('terminated: the stream ended without an answer') };
}

function onStepOf({ params }: WireMessage, call: Call): void {
  if (typeof params?.['progress'] === 'number') call.onStep(params['progress']);
}

/** Comes back for a stream until it gets it: an instance may be gone, or Redis away. */
async function resume(
  target: Target,
  session: string,
  options: { readonly lastEventId: string; readonly signal: AbortSignal; readonly sight: Sight },
): Promise<Response> {
  for (;;) {
    try {
      const reply = see(options.sight, await getStream(target, session, options));
      if (reply.ok || reply.status < 500) return reply;
      await reply.body?.cancel();
    } catch (error) {
      if (error instanceof Error && error.name === 'TimeoutError') throw error;
    }
    options.signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
}

function toText({ result, error }: WireMessage): string {
  if (error !== undefined) throw Object.assign(new Error(error.message), error);
  const [first] = (result?.['content'] ?? []) as readonly { readonly text?: string }[];
  return first?.text ?? '';
}
