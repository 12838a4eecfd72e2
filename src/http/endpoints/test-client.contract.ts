/** A client of the MCP endpoint without a socket: plain requests in, replies and their streams out. */
import type { Principal } from '../../auth/principal.ts';
import type { Engine } from '../../mcp/engine.ts';
import { createPrincipal, until } from '../../mcp/test-engine.contract.ts';
import type { HttpReply, HttpRequest, LogFields, RequestHeaders, StreamSink } from '../messages.ts';
import { createMcpEndpoint, type McpEndpoint } from './mcp.ts';

/** A JSON-RPC message as a test looks at it. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Json = any;

/** One event of a stream, as a client reads it. */
export interface ReceivedEvent {
  readonly id: string | undefined;
  readonly retryMs: number | undefined;
  readonly data: string | undefined;
}

/** Who asks, and what makes this request different. */
export interface Asked {
  readonly method?: 'POST' | 'GET' | 'DELETE';
  readonly headers?: RequestHeaders;
  readonly body?: unknown;
  readonly principal?: Principal;
  /** The client is gone before the reply's head is sent. */
  readonly leavesBeforeReply?: boolean;
}

/** A reply and, when it is a stream, what came on it so far. */
export class Received {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly kind: HttpReply['kind'];
  readonly body: string;
  /** What the request's log line says beside what it always says. */
  readonly log: LogFields | undefined;
  readonly chunks: string[] = [];
  isEnded = false;
  isGone = false;
  /** The client reads too slowly: nothing more is taken, and the next thing is that it is cut. */
  isFull = false;
  readonly #leave: () => void;
  readonly #whenGone: (() => void)[] = [];

  constructor(reply: HttpReply, leave: () => void, mayOpen: boolean) {
    this.status = reply.status;
    this.headers = reply.headers;
    this.kind = reply.kind;
    this.body = reply.kind === 'full' ? reply.body : '';
    this.log = reply.log;
    this.#leave = leave;
    if (reply.kind === 'stream' && mayOpen) reply.open(this.#createSink());
  }

  get json(): Json {
    return JSON.parse(this.body);
  }

  get events(): readonly ReceivedEvent[] {
    const blocks = this.chunks.join('').split('\n\n').slice(0, -1);
    return blocks.filter((block) => !block.startsWith(':')).map(parseEvent);
  }

  /** The messages on the stream. */
  get messages(): readonly Json[] {
    return this.events.flatMap(({ data }) =>
      data === undefined || data === '' ? [] : [JSON.parse(data) as Json],
    );
  }

  get lastEventId(): string {
    const id = this.events.findLast((event) => event.id !== undefined)?.id;
    if (id === undefined) throw new Error('no event had an id');
    return id;
  }

  /** The connection is lost. */
  leave(): void {
    if (this.isGone || this.isEnded) return;
    this.isGone = true;
    this.#leave();
    for (const listener of this.#whenGone) listener();
  }

  async untilEnded(): Promise<this> {
    await until(() => this.isEnded, 'the end of the stream');
    return this;
  }

  /** The first message that matches, once it is there. */
  async message(matches: (message: Json) => boolean): Promise<Json> {
    await until(() => this.messages.some(matches), 'a message on the stream');
    return this.messages.find(matches);
  }

  #createSink(): StreamSink {
    const isOpen = (): boolean => !this.isGone && !this.isEnded;
    return {
      get isOpen() {
        return isOpen();
      },
      write: (chunk) => {
        if (!isOpen() || this.isFull) return false;
        this.chunks.push(chunk);
        return true;
      },
      end: () => {
        this.isEnded = true;
      },
      onClose: (listener) => {
        if (this.isGone) listener();
        else this.#whenGone.push(listener);
      },
    };
  }
}

function parseEvent(block: string): ReceivedEvent {
  const field = (name: string): string | undefined =>
    block
      .split('\n')
      .find((line) => line.startsWith(`${name}: `))
      ?.slice(name.length + 2);
  const retry = field('retry');
  return { id: field('id'), retryMs: retry === undefined ? undefined : Number(retry), data: field('data') };
}

const bothAccepted = 'application/json, text/event-stream';
const clientInfo = { name: 'test-client', version: '1.2.3' };

/** What a modern request may differ in. */
export interface ModernAsked extends Asked {
  readonly id?: string | number;
  readonly capabilities?: Readonly<Record<string, unknown>>;
  readonly meta?: Readonly<Record<string, unknown>>;
}

/** One client of an endpoint. */
export class TestClient {
  readonly endpoint: McpEndpoint;
  readonly principal: Principal;
  #lastId = 0;

  constructor(server: Engine | McpEndpoint, principal: Principal = createPrincipal('alice')) {
    this.endpoint = 'post' in server ? server : createMcpEndpoint(server);
    this.principal = principal;
  }

  /** Sends one HTTP request. Rejects with what the endpoint throws, which the edge would render. */
  async send(asked: Asked): Promise<Received> {
    const { method = 'POST', body = '', principal = this.principal } = asked;
    const whenClosed: (() => void)[] = [];
    let isClosed = false;
    const leave = (): void => {
      isClosed = true;
      for (const listener of whenClosed) listener();
    };
    const request: HttpRequest = {
      method,
      path: '/mcp',
      query: '',
      headers: {
        accept: method === 'GET' ? 'text/event-stream' : bothAccepted,
        ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
        ...asked.headers,
      },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      requestId: `request-${(this.#lastId += 1)}`,
      principal,
      parameters: {},
      clientAddress: undefined,
      onClose: (listener) => {
        if (isClosed) listener();
        else whenClosed.push(listener);
      },
    };
    const handler =
      method === 'POST' ? this.endpoint.post : method === 'GET' ? this.endpoint.get : this.endpoint.delete;
    const pending = handler(request);
    if (asked.leavesBeforeReply === true) leave();
    return new Received(await pending, leave, asked.leavesBeforeReply !== true);
  }

  /** A well-formed request of 2026-07-28. */
  modern(
    method: string,
    params: Readonly<Record<string, unknown>> = {},
    asked: ModernAsked = {},
  ): Promise<Received> {
    const { id = (this.#lastId += 1), capabilities = {}, meta = {} } = asked;
    const name = method === 'resources/read' ? params['uri'] : params['name'];
    const hasName = ['tools/call', 'prompts/get', 'resources/read'].includes(method);
    return this.send({
      ...asked,
      headers: {
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': method,
        ...(hasName ? { 'mcp-name': String(name) } : {}),
        ...asked.headers,
      },
      body: {
        jsonrpc: '2.0',
        id,
        method,
        params: {
          ...params,
          _meta: {
            'io.modelcontextprotocol/protocolVersion': '2026-07-28',
            'io.modelcontextprotocol/clientInfo': clientInfo,
            'io.modelcontextprotocol/clientCapabilities': capabilities,
            ...meta,
          },
        },
      },
    });
  }

  /** Opens a legacy session. */
  async initialize(
    parts: {
      readonly protocolVersion?: string;
      readonly capabilities?: Readonly<Record<string, unknown>>;
    } = {},
  ): Promise<TestSession> {
    const { protocolVersion = '2025-11-25', capabilities = {} } = parts;
    const reply = await this.send({
      body: {
        jsonrpc: '2.0',
        id: 'init',
        method: 'initialize',
        params: { protocolVersion, capabilities, clientInfo },
      },
    });
    const id = reply.headers['Mcp-Session-Id'];
    if (id === undefined) throw new Error(`no session: ${reply.body}`);
    return new TestSession(this, id, reply.json.result);
  }
}

/** A legacy session of a client; `through` uses it at another instance. */
export class TestSession {
  readonly id: string;
  /** The result of `initialize`. */
  readonly opened: Json;
  readonly #client: TestClient;
  #lastId = 0;

  constructor(client: TestClient, id: string, opened: Json) {
    this.#client = client;
    this.id = id;
    this.opened = opened;
  }

  through(client: TestClient): TestSession {
    return new TestSession(client, this.id, this.opened);
  }

  send(asked: Asked): Promise<Received> {
    return this.#client.send({ ...asked, headers: { 'mcp-session-id': this.id, ...asked.headers } });
  }

  request(
    method: string,
    params: Readonly<Record<string, unknown>> = {},
    id: string | number = (this.#lastId += 1),
    asked: Asked = {},
  ): Promise<Received> {
    return this.send({ ...asked, body: { jsonrpc: '2.0', id, method, params } });
  }

  notify(method: string, params: Readonly<Record<string, unknown>> = {}): Promise<Received> {
    return this.send({ body: { jsonrpc: '2.0', method, params } });
  }

  /** Answers a question of the server. */
  answer(question: Json, result: unknown): Promise<Received> {
    return this.send({ body: { jsonrpc: '2.0', id: question.id, result } });
  }

  listen(lastEventId?: string, asked: Asked = {}): Promise<Received> {
    return this.send({
      ...asked,
      method: 'GET',
      headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
    });
  }

  end(): Promise<Received> {
    return this.send({ method: 'DELETE' });
  }
}
