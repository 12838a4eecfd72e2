/** Right messages of both eras, one for each thing that can be asked: what the suite starts from. */

/** A request or notification, not yet text. */
export interface SoundMessage {
  readonly jsonrpc: '2.0';
  readonly id?: number | string;
  readonly method: string;
  readonly params?: Readonly<Record<string, unknown>>;
}

/** Versions that have sessions. */
export const legacyVersions = ['2025-03-26', '2025-06-18', '2025-11-25'] as const;

const modernVersion = '2026-07-28';

const capabilities = { elicitation: { form: {}, url: {} }, sampling: { tools: {} }, roots: {} };

const envelope = {
  'io.modelcontextprotocol/protocolVersion': modernVersion,
  'io.modelcontextprotocol/clientInfo': { name: 'malformed', version: '1.0.0' },
  'io.modelcontextprotocol/clientCapabilities': capabilities,
};

const features: readonly (readonly [method: string, params: Record<string, unknown>])[] = [
  ['tools/list', {}],
  ['tools/list', { cursor: Buffer.from('[1]').toString('base64url') }],
  ['tools/call', { name: 'echo', arguments: { text: 'hello', times: 2, tags: ['a'] } }],
  ['tools/call', { name: 'keep', arguments: { any: { deep: [1, { a: 'b' }] }, other: null } }],
  ['tools/call', { name: 'route', arguments: { region: 'eu', count: 2, dry: true, deep: { at: 'x' } } }],
  ['tools/call', { name: 'measure', arguments: { of: 'this' } }],
  ['tools/call', { name: 'open_handle', arguments: { handle: 'v1.AAAA' } }],
  ['tools/call', { name: 'fails' }],
  ['resources/list', { cursor: Buffer.from('[1,"x"]').toString('base64url') }],
  ['resources/templates/list', {}],
  ['resources/read', { uri: 'thing://fixed' }],
  ['resources/read', { uri: 'thing://top%20shelf/items/a/b%2Fc' }],
  ['prompts/list', {}],
  ['prompts/get', { name: 'sum_up', arguments: { topic: 'bees', tone: 'dry' } }],
  [
    'completion/complete',
    {
      ref: { type: 'ref/prompt', name: 'sum_up' },
      argument: { name: 'tone', value: 'd' },
      context: { arguments: { topic: 'bees' } },
    },
  ],
  [
    'completion/complete',
    {
      ref: { type: 'ref/resource', uri: 'thing://{shelf}/items/{+path}' },
      argument: { name: 'shelf', value: '' },
    },
  ],
];

const talkative: typeof features = [
  ['tools/call', { name: 'speak', _meta: { progressToken: 'token' } }],
  ['tools/call', { name: 'ask', arguments: { question: 'Who?' } }],
  ['tools/call', { name: 'ask_model' }],
  ['tools/call', { name: 'ask_roots' }],
];

/** An answered question, as a modern client sends it. `requestState` is the one that came with the question. */
export function toAnsweredCall(requestState: string): SoundMessage {
  return toModern('tools/call', {
    name: 'ask',
    arguments: { question: 'Who?' },
    inputResponses: { name: { action: 'accept', content: { name: 'Ada', size: 3 } } },
    requestState,
  });
}

/** The modern era's. */
export const modernMessages: readonly SoundMessage[] = [
  toModern('server/discover', {}),
  ...[...features, ...talkative].map(([method, params]) => toModern(method, params)),
  toModern('subscriptions/listen', {
    notifications: {
      toolsListChanged: true,
      resourcesListChanged: false,
      resourceSubscriptions: ['thing://fixed'],
    },
  }),
  toModern('logging/setLevel', { level: 'info' }),
  toModern('resources/subscribe', { uri: 'thing://fixed' }),
];

/** What sessions begin with. */
export function toInitialize(protocolVersion: string): SoundMessage {
  const clientInfo = { name: 'malformed', title: 'Malformed', version: '1.0.0' };
  return {
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion, capabilities, clientInfo },
  };
}

/** The 2025 revisions'. */
export const legacyMessages: readonly SoundMessage[] = [
  ...features.map(([method, params]) => toLegacy(method, params)),
  toLegacy('tools/call', { name: 'speak', _meta: { progressToken: 7 } }),
  toLegacy('ping', {}),
  toLegacy('logging/setLevel', { level: 'warning' }),
  toLegacy('resources/subscribe', { uri: 'thing://fixed' }),
  toLegacy('resources/unsubscribe', { uri: 'thing://fixed' }),
  toLegacy('server/discover', {}),
  toLegacy('subscriptions/listen', { notifications: {} }),
  toInitialize('2025-11-25'),
  { jsonrpc: '2.0', method: 'notifications/initialized' },
  { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 99, reason: 'none' } },
  { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 1, progress: 2, total: 3 } },
  { jsonrpc: '2.0', method: 'notifications/roots/list_changed' },
];

/** Answers to questions that nobody asked. */
export const strayResponses: readonly object[] = [
  { jsonrpc: '2.0', id: 'AbCdEf012345.1', result: { action: 'accept', content: { name: 'x' } } },
  { jsonrpc: '2.0', id: 5, error: { code: -32603, message: 'no' } },
];

function toModern(method: string, params: Record<string, unknown>): SoundMessage {
  const _meta = { ...envelope, ...(params['_meta'] as object | undefined) };
  return { jsonrpc: '2.0', id: 7, method, params: { ...params, _meta } };
}

function toLegacy(method: string, params: Record<string, unknown>): SoundMessage {
  return { jsonrpc: '2.0', id: 'seven', method, params };
}

/** Headers that a right client sends with a modern message. */
export function toModernHeaders({ method, params }: SoundMessage): Record<string, string> {
  const name = params?.['name'] ?? params?.['uri'];
  const given = params?.['arguments'] as Record<string, unknown> | undefined;
  const isRouted = name === 'route';
  return {
    'Mcp-Protocol-Version': modernVersion,
    'Mcp-Method': method,
    ...(typeof name === 'string' ? { 'Mcp-Name': name } : {}),
    ...(isRouted
      ? {
          'Mcp-Param-Region': String(given?.['region']),
          'Mcp-Param-Count': '2',
          'Mcp-Param-Dry': 'true',
          'Mcp-Param-Deep': `=?base64?${Buffer.from('x').toString('base64')}?=`,
        }
      : {}),
  };
}
