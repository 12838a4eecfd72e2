import { describe, expect, expectTypeOf, it } from 'vitest';
import * as z from 'zod';
import { ProtocolError } from '../errors.ts';
import { compileServer } from './compiled-server.ts';
import type { DispatchTarget, Exchange } from './dispatch-target.ts';
import type { HandlerContext } from './handler-context.ts';
import {
  type AnyTool,
  definePrompt,
  defineResource,
  defineResourceTemplate,
  defineServer,
  defineTool,
  type ServerDefinitionInput,
} from './server-definition.ts';
import { createExchange, type RecordingExchange } from './test-exchange.contract.ts';
import { ToolError, ToolResult } from './tool-result.ts';

// Results are looked at field by field.
// oxlint-disable-next-line typescript/no-explicit-any
type Json = any;

function compile(input: Partial<ServerDefinitionInput>): DispatchTarget {
  return compileServer(defineServer({ name: 'test', version: '1', ...input }));
}

async function ask(
  target: DispatchTarget,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
  exchange: Exchange = createExchange('legacy'),
): Promise<Json> {
  return JSON.parse(await target.dispatch({ method, params }, exchange));
}

async function codeOf(asked: Promise<unknown>): Promise<number | undefined> {
  try {
    await asked;
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
  return undefined;
}

const tool = (name: string, handler: AnyTool['handler'] = () => 'done'): AnyTool =>
  defineTool({ name, handler });

describe('a definition', () => {
  const read = (): string => 'x';
  it.each<[string, Partial<ServerDefinitionInput>, RegExp]>([
    ['two tools of one name', { tools: [tool('a'), tool('a')] }, /tool "a" is defined twice/],
    ['a tool name with a space', { tools: [tool('a b')] }, /tool "a b"/],
    ['a tool without a name', { tools: [tool('')] }, /tool ""/],
    ['a tool name too long', { tools: [tool('a'.repeat(129))] }, /1 to 128/],
    [
      'an input that is no object',
      { tools: [defineTool({ name: 'a', input: z.string() as never, handler: () => 'x' })] },
      /tool "a": input: the schema must describe an object/,
    ],
    [
      'an output that is no object',
      { tools: [defineTool({ name: 'a', output: z.string() as never, handler: () => 'x' as never })] },
      /tool "a": output/,
    ],
    [
      'two prompts of one name',
      { prompts: [definePrompt({ name: 'p', handler: read }), definePrompt({ name: 'p', handler: read })] },
      /prompt "p" is defined twice/,
    ],
    [
      'a prompt argument that is no string',
      {
        prompts: [
          definePrompt({
            name: 'p',
            arguments: { type: 'object', properties: { n: { type: 'number' } } },
            handler: () => '',
          }),
        ],
      },
      /prompt "p": arguments: "n" must be a string/,
    ],
    [
      'two resources of one URI',
      {
        resources: [
          defineResource({ name: 'a', uri: 'x://a', read }),
          defineResource({ name: 'b', uri: 'x://a', read }),
        ],
      },
      /resource "x:\/\/a" is defined twice/,
    ],
    ['a relative URI', { resources: [defineResource({ name: 'a', uri: 'a/b', read })] }, /must be absolute/],
    [
      'two equal templates',
      {
        resourceTemplates: [
          defineResourceTemplate({ name: 'a', uriTemplate: 'x://{id}', read }),
          defineResourceTemplate({ name: 'b', uriTemplate: 'x://{id}', read }),
        ],
      },
      /resource template "x:\/\/\{id\}" is defined twice/,
    ],
    [
      'a template that cannot be matched',
      { resourceTemplates: [defineResourceTemplate({ name: 'a', uriTemplate: 'x://{id', read })] },
      /x:\/\/\{id/,
    ],
    ['a page size of none', { pageSize: 0 }, /pageSize/],
  ])('with %s does not compile', (_, input, problem) => {
    expect(() => compile(input)).toThrow(TypeError);
    expect(() => compile(input)).toThrow(problem);
  });

  it('offers what it has and nothing else', async () => {
    const target = compile({ tools: [tool('a')] });
    expect(target.capabilities).toEqual({ logging: {}, tools: { listChanged: true } });
    for (const method of [
      'prompts/list',
      'prompts/get',
      'resources/list',
      'resources/read',
      'completion/complete',
    ])
      expect(await codeOf(ask(target, method))).toBe(-32601);
    expect(compile({}).capabilities).toEqual({ logging: {} });
  });

  it('releases what it opened when the host closes', async () => {
    const closed: string[] = [];
    await compile({ close: () => void closed.push('closed') }).close();
    expect(closed).toEqual(['closed']);
  });
});

describe('types', () => {
  it('of what a handler gets and may return come from its schemas', () => {
    defineTool({
      name: 'a',
      input: z.object({ count: z.number().default(1), word: z.string().optional() }),
      output: z.object({ sum: z.number() }),
      handler: (input, context) => {
        expectTypeOf(input).toEqualTypeOf<{ count: number; word?: string | undefined }>();
        expectTypeOf(context).toEqualTypeOf<HandlerContext>();
        return { sum: input.count };
      },
    });
    // @ts-expect-error the output schema wants a number
    defineTool({ name: 'a', output: z.object({ sum: z.number() }), handler: () => ({ sum: '1' }) });
    // @ts-expect-error without an output schema an object is no answer
    defineTool({ name: 'a', handler: () => ({ sum: 1 }) });
    defineTool({
      name: 'a',
      input: { type: 'object' },
      handler: (input) => {
        expectTypeOf(input).toEqualTypeOf<Readonly<Record<string, unknown>>>();
        return undefined;
      },
    });
    definePrompt({
      name: 'p',
      arguments: z.object({ topic: z.string() }),
      handler: (input) => {
        expectTypeOf(input).toEqualTypeOf<{ topic: string }>();
        return input.topic;
      },
    });
    const asking = async (context: HandlerContext): Promise<void> => {
      const answer = await context.elicit('?', z.object({ age: z.number() }));
      if (answer.action === 'accept') expectTypeOf(answer.content).toEqualTypeOf<{ age: number }>();
    };
    expect(asking).toBeTypeOf('function');
  });
});

describe('a tool', () => {
  const call = (given: AnyTool, args?: unknown, exchange?: RecordingExchange): Promise<Json> =>
    ask(compile({ tools: [given] }), 'tools/call', { name: given.name, arguments: args }, exchange);

  it('is listed with its schemas and what it says of itself', async () => {
    const target = compile({
      tools: [
        defineTool({
          name: 'add',
          title: 'Add',
          description: 'Adds',
          input: z.object({ a: z.number() }),
          output: z.object({ sum: z.number() }),
          annotations: { readOnlyHint: true },
          _meta: { x: 1 },
          handler: ({ a }) => ({ sum: a }),
        }),
        tool('bare'),
      ],
    });
    const { tools } = await ask(target, 'tools/list');
    expect(tools).toMatchObject([
      {
        name: 'add',
        title: 'Add',
        description: 'Adds',
        inputSchema: { type: 'object', required: ['a'] },
        outputSchema: { type: 'object', required: ['sum'] },
        annotations: { readOnlyHint: true },
        _meta: { x: 1 },
      },
      { name: 'bare', inputSchema: { type: 'object', properties: {} } },
    ]);
    expect(tools[1]).not.toHaveProperty('outputSchema');
  });

  it.each<[string, unknown, Json]>([
    ['text', 'hello', { content: [{ type: 'text', text: 'hello' }] }],
    ['nothing', undefined, { content: [] }],
    ['blocks', [{ type: 'text', text: 'a' }], { content: [{ type: 'text', text: 'a' }] }],
    [
      'a ToolResult',
      new ToolResult({ content: [], isError: true, structuredContent: { a: 1 }, _meta: { b: 2 } }),
      { content: [], isError: true, structuredContent: { a: 1 }, _meta: { b: 2 } },
    ],
    ['an empty ToolResult', new ToolResult({}), { content: [] }],
  ])('may return %s', async (_, returned, result) => {
    expect(await call(tool('t', () => returned as string))).toEqual(result);
  });

  it('with an output schema returns structured content, and the same as text', async () => {
    const given = defineTool({
      name: 't',
      output: z.object({ sum: z.number(), note: z.string().default('none') }),
      handler: () => ({ sum: 3 }) as { sum: number; note: string },
    });
    expect(await call(given)).toEqual({
      content: [{ type: 'text', text: '{"sum":3,"note":"none"}' }],
      structuredContent: { sum: 3, note: 'none' },
    });
  });

  // MCP 2026-07-28, Tools, Output Schema: structured results MUST conform.
  it.each<[string, () => unknown]>([
    ['a value', () => ({ sum: 'three' })],
    ['a ToolResult', () => new ToolResult({ structuredContent: { sum: 'three' } })],
    ['a ToolResult without structured content', () => new ToolResult({ content: [] })],
  ])('whose output does not fit its schema fails, as ours, with %s', async (_, handler) => {
    const exchange = createExchange('legacy');
    const given = defineTool({ name: 't', output: z.object({ sum: z.number() }), handler: handler as never });
    expect(await call(given, {}, exchange)).toEqual({
      content: [{ type: 'text', text: 't failed (request request-1)' }],
      isError: true,
    });
    expect(String(exchange.failures[0]?.cause)).toMatch(/does not fit the output schema/);
  });

  it('that fails for the model need not fit its output schema', async () => {
    const result = new ToolResult({ content: [{ type: 'text', text: 'no' }], isError: true });
    const given = defineTool({ name: 't', output: z.object({ sum: z.number() }), handler: () => result });
    expect(await call(given)).toEqual({ content: [{ type: 'text', text: 'no' }], isError: true });
  });

  it('runs only with arguments that fit; otherwise the model is told what is wrong', async () => {
    const seen: unknown[] = [];
    const given = defineTool({
      name: 't',
      input: z.object({ count: z.number() }),
      handler: (input) => {
        seen.push(input);
        return 'done';
      },
    });
    expect(await call(given, { count: 'x' })).toMatchObject({
      isError: true,
      content: [{ text: expect.stringMatching(/^Invalid arguments for t: count: /) }],
    });
    expect(await codeOf(call(given, [1]))).toBe(-32602);
    expect(await codeOf(call(given, 'x'))).toBe(-32602);
    await call(given, { count: 1, more: true });
    expect(seen).toEqual([{ count: 1 }]);
  });

  it('tells the model what a ToolError says, and of any other failure only where the operator finds it', async () => {
    const told = await call(
      tool('t', () => {
        throw new ToolError('try another id');
      }),
    );
    expect(told).toEqual({ content: [{ type: 'text', text: 'try another id' }], isError: true });
    for (const thrown of [new Error('hunter2'), 'hunter2', null, undefined]) {
      const exchange = createExchange('legacy');
      const failed = await call(
        tool('t', () => {
          // oxlint-disable-next-line typescript/only-throw-error
          throw thrown;
        }),
        {},
        exchange,
      );
      expect(JSON.stringify(failed)).not.toContain('hunter2');
      expect(exchange.failures.map(({ what, cause }) => [what, cause])).toEqual([['tool t', thrown]]);
    }
  });

  it('that does not exist is named, in bounds', async () => {
    const target = compile({ tools: [tool('a')] });
    for (const name of ['b', 'toString', '__proto__', undefined, 5, {}])
      expect(await codeOf(ask(target, 'tools/call', { name }))).toBe(-32602);
    await expect(ask(target, 'tools/call', { name: 'x'.repeat(10_000) })).rejects.toThrow(/^.{1,200}$/);
  });
});

describe('pages', () => {
  const names = ['a', 'b', 'c', 'd', 'e'];

  async function readAll(target: DispatchTarget, method: string, field: string): Promise<string[][]> {
    const pages: string[][] = [];
    let cursor: unknown;
    do {
      const page = await ask(target, method, cursor === undefined ? {} : { cursor });
      pages.push(page[field].map(({ name }: Json) => name));
      cursor = page.nextCursor;
    } while (cursor !== undefined && pages.length < 20);
    return pages;
  }

  it('hold every tool, prompt and template once, in order', async () => {
    const target = compile({
      pageSize: 2,
      tools: names.map((name) => tool(name)),
      prompts: names.map((name) => definePrompt({ name, handler: () => '' })),
      resourceTemplates: names.map((name) =>
        defineResourceTemplate({ name, uriTemplate: `${name}://{id}`, read: () => '' }),
      ),
    });
    for (const [method, field] of [
      ['tools/list', 'tools'],
      ['prompts/list', 'prompts'],
      ['resources/templates/list', 'resourceTemplates'],
    ] as const)
      expect(await readAll(target, method, field)).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
  });

  it('of resources go over the fixed ones and then over what each template lists', async () => {
    const listed = (prefix: string) => (_: unknown, cursor: string | undefined) => {
      const page = Number(cursor ?? 0);
      return {
        resources: [{ name: `${prefix}${page}`, uri: `${prefix}://${page}` }],
        ...(page < 2 ? { nextCursor: String(page + 1) } : {}),
      };
    };
    const target = compile({
      pageSize: 2,
      resources: ['a', 'b', 'c'].map((name) => defineResource({ name, uri: `x://${name}`, read: () => '' })),
      resourceTemplates: ['t', 'silent', 'u'].map((name) =>
        defineResourceTemplate({
          name,
          uriTemplate: `${name}://{id}`,
          read: () => '',
          ...(name === 'silent' ? {} : { list: listed(name) }),
        }),
      ),
    });
    expect((await readAll(target, 'resources/list', 'resources')).flat()).toEqual(
      'a b c t0 t1 t2 u0 u1 u2'.split(' '),
    );
  });

  it('start only at cursors of ours', async () => {
    const target = compile({
      pageSize: 1,
      tools: [tool('a'), tool('b')],
      resourceTemplates: [defineResourceTemplate({ name: 't', uriTemplate: 't://{id}', read: () => '' })],
    });
    const render = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    for (const cursor of [
      '',
      'x',
      5,
      null,
      {},
      render({}),
      ...[[2], [-1], [0.5], ['0'], [0, 5], [0, 'a', 1]].flatMap((position) =>
        ['tools', 'resources', 'resourceTemplates'].map((list) => render([list, ...position])),
      ),
    ])
      for (const method of ['tools/list', 'resources/list', 'resources/templates/list'])
        expect([cursor, await codeOf(ask(target, method, { cursor }))]).toEqual([cursor, -32602]);
    const { nextCursor } = await ask(target, 'tools/list', {});
    expect(await codeOf(ask(target, 'resources/templates/list', { cursor: nextCursor }))).toBe(-32602);
  });
});

describe('a resource', () => {
  const target = compile({
    resources: [
      defineResource({ name: 'text', uri: 'x://text', mimeType: 'text/plain', read: () => 'hello' }),
      defineResource({
        name: 'bytes',
        uri: 'x://bytes',
        read: () => ({ blob: new Uint8Array([1, 2, 255]) }),
      }),
      defineResource({
        name: 'many',
        uri: 'x://many',
        mimeType: 'text/plain',
        read: () => [
          { text: 'a' },
          { uri: 'x://other', mimeType: 'image/png', blob: 'AQL/', _meta: { a: 1 } },
        ],
      }),
      defineResource({ name: 'gone', uri: 'x://gone', read: () => undefined }),
    ],
    resourceTemplates: [
      defineResourceTemplate({
        name: 'first',
        uriTemplate: 'x://t/{id}',
        read: ({ id }, context) => (id === 'mine' ? `first ${context.uri}` : undefined),
      }),
      defineResourceTemplate({
        name: 'second',
        uriTemplate: 'x://t/{+path}',
        read: ({ path }) => `second ${path}`,
      }),
      defineResourceTemplate({ name: 'none', uriTemplate: 'y://{id}', read: () => undefined }),
    ],
  });
  const read = async (uri: unknown): Promise<Json> => (await ask(target, 'resources/read', { uri })).contents;

  it('is read as text, bytes or several pieces', async () => {
    expect(await read('x://text')).toEqual([{ uri: 'x://text', mimeType: 'text/plain', text: 'hello' }]);
    expect(await read('x://bytes')).toEqual([{ uri: 'x://bytes', blob: 'AQL/' }]);
    expect(await read('x://many')).toEqual([
      { uri: 'x://many', mimeType: 'text/plain', text: 'a' },
      { uri: 'x://other', mimeType: 'image/png', blob: 'AQL/', _meta: { a: 1 } },
    ]);
  });

  it('of a template is that of the first template that has it', async () => {
    expect((await read('x://t/mine'))[0].text).toBe('first x://t/mine');
    expect((await read('x://t/other'))[0].text).toBe('second other');
  });

  it.each(['x://gone', 'y://1', 'z://unknown', 'not a uri', 'toString'])(
    'that is not there is told by the code of its era: %s',
    async (uri) => {
      for (const [era, code] of [
        ['legacy', -32002],
        ['modern', -32602],
      ] as const) {
        const asked = ask(target, 'resources/read', { uri }, createExchange(era));
        await expect(asked).rejects.toMatchObject({ code, data: { uri } });
      }
    },
  );

  it('needs a URI', async () => {
    expect(await codeOf(ask(target, 'resources/read', {}))).toBe(-32602);
  });
});

describe('a prompt', () => {
  const target = compile({
    prompts: [
      definePrompt({
        name: 'p',
        description: 'Of the prompt',
        arguments: z.object({ topic: z.string().describe('About'), tone: z.string().optional() }),
        handler: ({ topic }) => `About ${topic}`,
      }),
      definePrompt({
        name: 'own',
        handler: () => ({
          description: 'Its own',
          messages: [{ role: 'assistant', content: { type: 'text', text: 'x' } }],
        }),
      }),
      definePrompt({
        name: 'list',
        handler: () => [{ role: 'user', content: { type: 'text', text: 'x' } }],
      }),
      definePrompt({
        name: 'fails',
        handler: () => {
          throw new ToolError('not today');
        },
      }),
    ],
  });

  it('lists its arguments by name', async () => {
    const { prompts } = await ask(target, 'prompts/list');
    expect(prompts[0].arguments).toEqual([
      { name: 'topic', description: 'About', required: true },
      { name: 'tone', required: false },
    ]);
    expect(prompts[1]).not.toHaveProperty('arguments');
  });

  it('may return text, messages, or messages with a description', async () => {
    expect(await ask(target, 'prompts/get', { name: 'p', arguments: { topic: 'cats' } })).toEqual({
      description: 'Of the prompt',
      messages: [{ role: 'user', content: { type: 'text', text: 'About cats' } }],
    });
    expect((await ask(target, 'prompts/get', { name: 'own' })).description).toBe('Its own');
    expect((await ask(target, 'prompts/get', { name: 'list' })).messages.length).toBe(1);
  });

  it('refuses arguments that do not fit, names that do not exist, and says what a handler meant to say', async () => {
    for (const params of [
      { name: 'p' },
      { name: 'p', arguments: { topic: 1 } },
      { name: 'p', arguments: [] },
      { name: 'q' },
      {},
    ])
      expect(await codeOf(ask(target, 'prompts/get', params))).toBe(-32602);
    await expect(ask(target, 'prompts/get', { name: 'fails' })).rejects.toMatchObject({
      code: -32602,
      message: 'not today',
    });
  });
});

describe('completion', () => {
  const many = Array.from({ length: 150 }, (_, index) => `v${index}`);
  const target = compile({
    prompts: [
      definePrompt({
        name: 'p',
        arguments: z.object({ a: z.string(), b: z.string(), c: z.string() }),
        complete: {
          a: (typed, context) => [typed, ...Object.keys(context.arguments)],
          b: () => many,
          c: () => ({ values: ['x'], total: 7, hasMore: true }),
        },
        handler: () => '',
      }),
    ],
    resources: [defineResource({ name: 'r', uri: 'x://r', read: () => '' })],
    resourceTemplates: [
      defineResourceTemplate({
        name: 't',
        uriTemplate: 'x://{id}',
        complete: { id: (typed) => [`${typed}1`] },
        read: () => '',
      }),
    ],
  });
  const complete = async (ref: unknown, argument: unknown, context?: unknown): Promise<Json> =>
    (await ask(target, 'completion/complete', { ref, argument, context })).completion;
  const prompt = { type: 'ref/prompt', name: 'p' };

  it('gives what a completer proposes, and it the other arguments that are text', async () => {
    expect(await complete({ type: 'ref/resource', uri: 'x://{id}' }, { name: 'id', value: 'no' })).toEqual({
      values: ['no1'],
      total: 1,
      hasMore: false,
    });
    const context = { arguments: { b: 'x', c: 5 } };
    expect((await complete(prompt, { name: 'a', value: 'typed' }, context)).values).toEqual(['typed', 'b']);
    expect(await complete(prompt, { name: 'c', value: '' })).toEqual({
      values: ['x'],
      total: 7,
      hasMore: true,
    });
  });

  it('gives at most a hundred, and says that there are more', async () => {
    expect(await complete(prompt, { name: 'b', value: '' })).toEqual({
      values: many.slice(0, 100),
      total: 150,
      hasMore: true,
    });
  });

  it('has nothing to propose for an argument without completer', async () => {
    for (const name of ['unknown', 'toString', '__proto__'])
      expect(await complete(prompt, { name, value: '' })).toEqual({ values: [], hasMore: false });
    expect(await complete({ type: 'ref/resource', uri: 'x://r' }, { name: 'id', value: '' })).toMatchObject({
      values: [],
    });
  });

  it('refuses references to nothing and malformed ones', async () => {
    const argument = { name: 'a', value: '' };
    for (const [ref, given] of [
      [{ type: 'ref/prompt', name: 'q' }, argument],
      [{ type: 'ref/resource', uri: 'x://1' }, argument],
      [{ type: 'ref/tool', name: 'p' }, argument],
      [{ type: 'ref/prompt' }, argument],
      ['p', argument],
      [prompt, { name: 'a' }],
      [prompt, { name: 5, value: '' }],
      [prompt, undefined],
    ])
      expect(await codeOf(complete(ref, given))).toBe(-32602);
  });
});
