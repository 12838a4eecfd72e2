/** What the malformed-input suite is aimed at: a server with one of everything that takes input. */
import { z } from 'zod';
import {
  definePrompt,
  defineResource,
  defineResourceTemplate,
  defineServer,
  defineTool,
  type ServerDefinition,
} from '../../../src/index.ts';

/** Told by a tool that fails; nothing of it may reach a client. */
export const internalText = 'INTERNAL select * from secrets at /srv/app/node_modules/driver.js:10';

const form = z.object({ name: z.string(), size: z.int().optional() });

const tools = [
  defineTool({
    name: 'echo',
    input: z.object({
      text: z.string().max(1_000_000),
      times: z.int().min(1).max(3).optional(),
      tags: z.array(z.string()).max(1000).optional(),
    }),
    handler: ({ text, times = 1 }) => text.slice(0, 1000).repeat(times),
  }),
  defineTool({
    name: 'keep',
    input: { type: 'object', properties: { any: {} }, additionalProperties: true },
    handler: (input) => JSON.stringify(Object.keys({ ...input }).slice(0, 5)),
  }),
  defineTool({
    name: 'route',
    input: {
      type: 'object',
      properties: {
        region: { type: 'string', 'x-mcp-header': 'Region' },
        count: { type: 'integer', 'x-mcp-header': 'Count' },
        dry: { type: 'boolean', 'x-mcp-header': 'Dry' },
        deep: { type: 'object', properties: { at: { type: 'string', 'x-mcp-header': 'Deep' } } },
      },
      required: ['region'],
    },
    handler: ({ region }) => `to ${String(region)}`,
  }),
  defineTool({
    name: 'ask',
    input: z.object({ question: z.string().optional() }),
    handler: async ({ question }, context) => {
      const began = await context.once('began', () => 1);
      const answer = await context.elicit(question?.slice(0, 100) ?? 'Name?', form, { key: 'name' });
      return answer.action === 'accept' ? `${answer.content.name} ${began}` : answer.action;
    },
  }),
  defineTool({
    name: 'ask_model',
    handler: async (_input, context) => {
      const answer = await context.sample(
        { messages: [{ role: 'user', content: { type: 'text', text: 'Why?' } }], maxTokens: 5 },
        { key: 'model' },
      );
      return JSON.stringify(answer.content).slice(0, 200);
    },
  }),
  defineTool({
    name: 'ask_roots',
    handler: async (_input, context) => String((await context.listRoots({ key: 'roots' })).length),
  }),
  defineTool({
    name: 'speak',
    handler: (_input, context) => {
      context.progress(1, 2, 'half');
      context.log('info', 'said');
      return 'spoken';
    },
  }),
  defineTool({
    name: 'measure',
    input: z.object({ of: z.string() }),
    output: z.object({ length: z.int() }),
    handler: ({ of }) => ({ length: of.length }),
  }),
  defineTool({
    name: 'open_handle',
    input: z.object({ handle: z.string() }),
    handler: ({ handle }, context) => JSON.stringify(context.handles.open(handle)),
  }),
  defineTool({
    name: 'fails',
    handler: () => {
      throw new Error(internalText);
    },
  }),
];

/** The server. */
export const targetServer: ServerDefinition = defineServer({
  name: 'malformed-target',
  version: '1.0.0',
  pageSize: 3,
  tools,
  resources: [defineResource({ uri: 'thing://fixed', name: 'fixed', read: () => 'fixed' })],
  resourceTemplates: [
    defineResourceTemplate({
      uriTemplate: 'thing://{shelf}/items/{+path}',
      name: 'items',
      list: (_context, cursor) => ({
        resources: [{ uri: `thing://a/items/${(cursor ?? '0').length}`, name: 'item' }],
        ...(cursor === undefined ? { nextCursor: 'second' } : {}),
      }),
      complete: { shelf: (typed) => [`${typed.slice(0, 20)}a`, 'b'] },
      read: ({ shelf, path }) => ({ text: `${shelf} ${path}`.slice(0, 1000) }),
    }),
  ],
  prompts: [
    definePrompt({
      name: 'sum_up',
      arguments: z.object({ topic: z.string(), tone: z.string().optional() }),
      complete: {
        tone: (typed, { arguments: given }) => [typed.slice(0, 20), given['topic']?.slice(0, 20) ?? 'x'],
      },
      handler: ({ topic }) => `Sum up ${topic.slice(0, 1000)}`,
    }),
  ],
});
