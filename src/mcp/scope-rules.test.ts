import { describe, expect, it } from 'vitest';
import { compileScopes } from './scope-rules.ts';
import {
  definePrompt,
  defineResource,
  defineResourceTemplate,
  defineTool,
  type ServerDefinitionInput,
} from './server-definition.ts';

const definition: ServerDefinitionInput = {
  name: 'test',
  version: '1.0.0',
  baseScopes: ['notes:read'],
  scopeDescriptions: { 'notes:read': 'Read your notes' },
  tools: [
    defineTool({ name: 'list', handler: () => 'x' }),
    defineTool({ name: 'add', scopes: ['notes:write'], handler: () => 'x' }),
    defineTool({ name: 'move', scopes: ['notes:write', 'folders:write'], handler: () => 'x' }),
  ],
  resources: [defineResource({ name: 'r', uri: 'x://plain', read: () => 'x' })],
  resourceTemplates: [
    defineResourceTemplate({
      name: 'a',
      uriTemplate: 'x://{kind}/secret',
      scopes: ['secrets'],
      read: () => 'x',
    }),
    defineResourceTemplate({
      name: 'b',
      uriTemplate: 'x://notes/{id}',
      scopes: ['notes:own'],
      read: () => 'x',
    }),
  ],
  prompts: [definePrompt({ name: 'p', scopes: ['prompts'], handler: () => 'x' })],
};
const rules = compileScopes(definition);

describe('the scopes that a request needs', () => {
  const needed: readonly (readonly [string, Record<string, unknown>, readonly string[]])[] = [
    ['tools/list', {}, ['notes:read']],
    ['tools/call', { name: 'list' }, ['notes:read']],
    ['tools/call', { name: 'add' }, ['notes:read', 'notes:write']],
    ['tools/call', { name: 'move' }, ['notes:read', 'notes:write', 'folders:write']],
    ['tools/call', { name: 'unknown' }, ['notes:read']],
    ['tools/call', { name: { toString: null } }, ['notes:read']],
    ['prompts/get', { name: 'p' }, ['notes:read', 'prompts']],
    ['resources/read', { uri: 'x://plain' }, ['notes:read']],
    ['resources/read', { uri: 'x://notes/1' }, ['notes:read', 'notes:own']],
    ['resources/subscribe', { uri: 'x://notes/1' }, ['notes:read', 'notes:own']],
    ['completion/complete', { ref: { type: 'ref/prompt', name: 'p' } }, ['notes:read', 'prompts']],
    [
      'completion/complete',
      { ref: { type: 'ref/resource', uri: 'x://notes/{id}' } },
      ['notes:read', 'notes:own'],
    ],
    [
      'subscriptions/listen',
      { notifications: { resourceSubscriptions: ['x://plain', 'x://notes/1', 7] } },
      ['notes:read', 'notes:own'],
    ],
  ];
  it.each(needed)('%s %j', (method, params, expected) => {
    expect(rules.toNeeded({ method, params })).toEqual(expected);
  });

  it('are those of every family that a URI may be of, as the first may leave it to the next', () => {
    expect(rules.toNeeded({ method: 'resources/read', params: { uri: 'x://notes/secret' } })).toEqual([
      'notes:read',
      'secrets',
      'notes:own',
    ]);
  });

  it('are known in all, with what the author says of them', () => {
    expect(new Map(rules.described)).toEqual(
      new Map([
        ['notes:read', 'Read your notes'],
        ['notes:write', undefined],
        ['folders:write', undefined],
        ['prompts', undefined],
        ['secrets', undefined],
        ['notes:own', undefined],
      ]),
    );
  });
});

describe('a definition', () => {
  it.each(['', 'a b', '*', 'a"b', 'a,b', 'é'])('is refused with %j as a scope', (scope) => {
    const tools = [defineTool({ name: 't', scopes: [scope], handler: () => 'x' })];
    expect(() => compileScopes({ name: 'n', version: '1', tools })).toThrow(TypeError);
  });

  it('is refused when it describes a scope that nothing needs: a slip of the pen would guard nothing', () => {
    const tools = [defineTool({ name: 't', scopes: ['notes:write'], handler: () => 'x' })];
    const scopeDescriptions = { 'notes:wirte': 'Change your notes' };
    expect(() => compileScopes({ name: 'n', version: '1', tools, scopeDescriptions })).toThrow('notes:wirte');
  });
});
