/** One face for every real client, so that one test says what all of them must be able to do. */
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as StdioTransportV1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as HttpTransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport as TransportV1 } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  CallToolResultSchema,
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';

/** The clients, by the library and the protocol era that it is told to speak. */
export const clientKinds = ['SDK v2, modern', 'SDK v2, legacy', 'SDK v1'] as const;

/** One of them. */
export type ClientKind = (typeof clientKinds)[number];

/** Where the server is: at a URL, or a command to start. */
export type ServerAddress =
  | { readonly kind: 'http'; readonly url: string; readonly key: string }
  | {
      readonly kind: 'stdio';
      readonly command: string;
      readonly args: string[];
      readonly env: Record<string, string>;
      readonly cwd: string;
    };

/** What a user does when asked. */
export type Answer = 'accept' | 'decline' | 'cancel';

/** What a tool call gave. */
export interface ToolOutcome {
  readonly isError: boolean;
  readonly text: string;
  readonly structured: Record<string, unknown>;
}

/** What a call may be told besides its arguments. */
export interface CallOptions {
  readonly onProgress?: (progress: number) => void;
  readonly signal?: AbortSignal;
}

/** A connected client. */
export interface TestClient {
  readonly protocolVersion: string | undefined;
  readonly serverName: string | undefined;
  /** What the user was asked, and what they answer from now on. */
  readonly questions: string[];
  answer: Answer;
  /** URIs told as updated, `resources` for a changed list. */
  readonly heard: string[];
  /** Log messages of the server. */
  readonly logged: unknown[];
  callTool(name: string, args?: Record<string, unknown>, options?: CallOptions): Promise<ToolOutcome>;
  listTools(cursor?: string): Promise<Page>;
  listResources(cursor?: string): Promise<Page>;
  listTemplates(): Promise<readonly string[]>;
  readResource(uri: string): Promise<string>;
  getPrompt(name: string, args: Record<string, string>): Promise<string>;
  complete(reference: PromptOrTemplate, name: string, typed: string): Promise<readonly string[]>;
  /** Asks to hear of changes of the list of resources, and of one resource. */
  watch(uri: string): Promise<void>;
  /** From now on, calls want log messages of this level and above. */
  setLogLevel(level: 'debug' | 'error'): Promise<void>;
  /** Legacy only. */
  ping(): Promise<unknown>;
  close(): Promise<void>;
}

/** Names or URIs of one page. */
export interface Page {
  readonly items: readonly string[];
  readonly nextCursor: string | undefined;
}

/** What a completion is for. */
export type PromptOrTemplate =
  | { readonly type: 'ref/prompt'; readonly name: string }
  | { readonly type: 'ref/resource'; readonly uri: string };

/** Connects a client. */
export function connectClient(kind: ClientKind, address: ServerAddress): Promise<TestClient> {
  return kind === 'SDK v1'
    ? connectV1(address)
    : connectV2(address, kind === 'SDK v2, modern' ? 'auto' : 'legacy');
}

const clientInfo = { name: 'mooring-e2e', version: '1.0.0' };
const capabilities = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };
/** What the model and the application behind every client say. */
const sampled = { role: 'assistant' as const, model: 'test', content: { type: 'text' as const, text: 'hi' } };
const rooted = { roots: [{ uri: 'file:///work' }] };
const logLevelKey = 'io.modelcontextprotocol/logLevel';

interface Heard {
  readonly questions: string[];
  readonly heard: string[];
  readonly logged: unknown[];
  answer: Answer;
}

async function connectV2(address: ServerAddress, mode: 'auto' | 'legacy'): Promise<TestClient> {
  const client = new Client(clientInfo, { capabilities, versionNegotiation: { mode } });
  const told: Heard = { questions: [], heard: [], logged: [], answer: 'accept' };
  client.setRequestHandler('elicitation/create', ({ params }) => {
    told.questions.push(params.message);
    return toElicitResult(told.answer, params.mode);
  });
  client.setRequestHandler('sampling/createMessage', () => sampled);
  client.setRequestHandler('roots/list', () => rooted);
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
    told.heard.push(params.uri);
  });
  client.setNotificationHandler('notifications/resources/list_changed', () => {
    told.heard.push('resources');
  });
  client.setNotificationHandler('notifications/message', ({ params }) => {
    told.logged.push(params.data);
  });
  const transport =
    address.kind === 'stdio'
      ? new StdioClientTransport({ ...address, stderr: 'ignore' })
      : new StreamableHTTPClientTransport(new URL(address.url), { requestInit: toRequestInit(address.key) });
  await client.connect(transport);
  let logLevel: string | undefined;
  return Object.assign(told, {
    protocolVersion: client.getNegotiatedProtocolVersion(),
    serverName: client.getServerVersion()?.name,
    callTool: async (name: string, args: Record<string, unknown> = {}, options: CallOptions = {}) => {
      const meta = logLevel === undefined ? {} : { _meta: { [logLevelKey]: logLevel } };
      return toOutcome(await client.callTool({ name, arguments: args, ...meta }, toRequestOptions(options)));
    },
    listTools: async (cursor?: string) => {
      const { tools, nextCursor } = await client.listTools({ ...toFirstPage(cursor) });
      return { items: tools.map(({ name }) => name), nextCursor };
    },
    listResources: async (cursor?: string) => {
      const { resources, nextCursor } = await client.listResources(toFirstPage(cursor));
      return { items: resources.map(({ uri }) => uri), nextCursor };
    },
    listTemplates: async () =>
      (await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate),
    readResource: async (uri: string) => toText((await client.readResource({ uri })).contents),
    getPrompt: async (name: string, args: Record<string, string>) =>
      JSON.stringify((await client.getPrompt({ name, arguments: args })).messages),
    complete: async (ref: PromptOrTemplate, name: string, value: string) =>
      (await client.complete({ ref, argument: { name, value } })).completion.values,
    watch: async (uri: string) => {
      if (client.getProtocolEra() === 'modern') {
        await client.listen({ resourcesListChanged: true, resourceSubscriptions: [uri] });
      } else await client.subscribeResource({ uri });
    },
    setLogLevel: async (level: 'debug' | 'error') => {
      if (client.getProtocolEra() === 'modern') logLevel = level;
      else await client.setLoggingLevel(level);
    },
    ping: () => client.ping(),
    close: () => closeSession(client, transport),
  });
}

async function connectV1(address: ServerAddress): Promise<TestClient> {
  const client = new ClientV1(clientInfo, { capabilities });
  const told: Heard = { questions: [], heard: [], logged: [], answer: 'accept' };
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    told.questions.push(params.message);
    return toElicitResult(told.answer, params.mode);
  });
  client.setRequestHandler(CreateMessageRequestSchema, () => sampled);
  client.setRequestHandler(ListRootsRequestSchema, () => rooted);
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    told.heard.push(params.uri);
  });
  client.setNotificationHandler(ResourceListChangedNotificationSchema, () => {
    told.heard.push('resources');
  });
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
    told.logged.push(params.data);
  });
  const transport =
    address.kind === 'stdio'
      ? new StdioTransportV1({ ...address, stderr: 'ignore' })
      : new HttpTransportV1(new URL(address.url), { requestInit: toRequestInit(address.key) });
  const protocolVersion = await connectAndLearnVersion(client, transport);
  return Object.assign(told, {
    protocolVersion,
    serverName: client.getServerVersion()?.name,
    callTool: async (name: string, args: Record<string, unknown> = {}, options: CallOptions = {}) => {
      const call = { name, arguments: args };
      return toOutcome(await client.callTool(call, CallToolResultSchema, toRequestOptions(options)));
    },
    listTools: async (cursor?: string) => {
      const { tools, nextCursor } = await client.listTools(toFirstPage(cursor));
      return { items: tools.map(({ name }) => name), nextCursor };
    },
    listResources: async (cursor?: string) => {
      const { resources, nextCursor } = await client.listResources(toFirstPage(cursor));
      return { items: resources.map(({ uri }) => uri), nextCursor };
    },
    listTemplates: async () =>
      (await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate),
    readResource: async (uri: string) => toText((await client.readResource({ uri })).contents),
    getPrompt: async (name: string, args: Record<string, string>) =>
      JSON.stringify((await client.getPrompt({ name, arguments: args })).messages),
    complete: async (ref: PromptOrTemplate, name: string, value: string) =>
      (await client.complete({ ref, argument: { name, value } })).completion.values,
    watch: async (uri: string) => {
      await client.subscribeResource({ uri });
    },
    setLogLevel: async (level: 'debug' | 'error') => {
      await client.setLoggingLevel(level);
    },
    ping: () => client.ping(),
    close: () => closeSession(client, transport),
  });
}

/** The v1 client tells the version only to its transport. */
async function connectAndLearnVersion(
  client: ClientV1,
  transport: HttpTransportV1 | StdioTransportV1,
): Promise<string | undefined> {
  let learned: string | undefined;
  const asTransport = transport as TransportV1;
  const tell = asTransport.setProtocolVersion?.bind(transport);
  asTransport.setProtocolVersion = (version) => {
    learned = version;
    tell?.(version);
  };
  await client.connect(asTransport);
  return learned;
}

/** Says goodbye as a tidy client does: the session first, where there is one. */
async function closeSession(client: { close(): Promise<void> }, transport: object): Promise<void> {
  if ('terminateSession' in transport && typeof transport.terminateSession === 'function') {
    await (transport.terminateSession as () => Promise<void>)();
  }
  await client.close();
}

/** A form is filled in, with nothing; a page is only visited. */
function toElicitResult(
  action: Answer,
  mode: string | undefined,
): { action: Answer; content?: Record<string, never> } {
  return action === 'accept' && mode !== 'url' ? { action, content: {} } : { action };
}

function toRequestInit(key: string): RequestInit {
  return { headers: { Authorization: `Bearer ${key}` } };
}

function toRequestOptions({ onProgress, signal }: CallOptions): {
  onprogress?: (update: { progress: number }) => void;
  signal?: AbortSignal;
} {
  return {
    ...(onProgress === undefined ? {} : { onprogress: ({ progress }) => onProgress(progress) }),
    ...(signal === undefined ? {} : { signal }),
  };
}

/** A cursor makes the v2 client ask for one page; without one it walks them all. */
function toFirstPage(cursor: string | undefined): { cursor?: string } {
  return cursor === undefined ? {} : { cursor };
}

function toOutcome(result: object): ToolOutcome {
  const { isError, content, structuredContent } = result as {
    isError?: boolean;
    content?: { text?: string }[];
    structuredContent?: Record<string, unknown>;
  };
  return {
    isError: isError === true,
    text: (content ?? []).map(({ text }) => text ?? '').join('\n'),
    structured: structuredContent ?? {},
  };
}

function toText(contents: readonly object[]): string {
  return contents.map((content) => ('text' in content ? String(content.text) : '')).join('\n');
}
