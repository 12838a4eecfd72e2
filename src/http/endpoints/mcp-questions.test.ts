/**
 * Questions to the client, written once and asked in both eras. MCP 2026-07-28, Multi Round-Trip Requests; MCP
 * 2025-11-25, Elicitation, Sampling, Roots.
 */
import { afterEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { maxRememberedBytes } from '../../mcp/call-rounds.ts';
import type { Engine } from '../../mcp/engine.ts';
import type { HandlerContext } from '../../mcp/handler-context.ts';
import { definePrompt, defineResource, defineTool } from '../../mcp/server-definition.ts';
import {
  createPrincipal,
  createTestEngine,
  settle,
  type TestEngine,
  type TestEngineOptions,
} from '../../mcp/test-engine.contract.ts';
import { type Json, type Received, TestClient } from './test-client.contract.ts';

const alice = createPrincipal('alice');
const all = { elicitation: { form: {}, url: {} }, sampling: { tools: {} }, roots: {} };
const name = z.object({ name: z.string().min(2) });
const accept = (content: Json): Json => ({ action: 'accept', content });

type Handler = (context: HandlerContext, seen: string[]) => Promise<string>;

/** A server with one tool, `t`. */
async function createServer(
  handler: Handler,
  options: TestEngineOptions = {},
): Promise<TestEngine & { client: TestClient; seen: string[] }> {
  const seen: string[] = [];
  const made = await createTestEngine(
    {
      tools: [
        defineTool({
          name: 't',
          input: { type: 'object' },
          handler: (_, context) => handler(context, seen),
        }),
      ],
    },
    options,
  );
  return { ...made, client: new TestClient(made.engine, alice), seen };
}

async function call(
  client: TestClient,
  more: Record<string, unknown> = {},
  capabilities: Record<string, unknown> = all,
): Promise<Received> {
  return client.modern(
    'tools/call',
    { name: 't', arguments: { a: 1, b: [{ c: 2, d: 3 }] }, ...more },
    { capabilities },
  );
}

const textOf = (reply: Received): string => reply.json.result.content[0].text;

const unhandled: unknown[] = [];
const collect = (error: unknown): void => void unhandled.push(error);
process.on('unhandledRejection', collect);
afterEach(() => {
  expect(unhandled.splice(0)).toEqual([]);
});

describe('a stateless call that asks', () => {
  it('ends with the question, and runs again from the top with its answer', async () => {
    const { client, seen } = await createServer(async (context, runs) => {
      runs.push('run');
      try {
        const answer = await context.elicit('Name?', name);
        return answer.action === 'accept' ? `Hello ${answer.content.name}` : answer.action;
      } finally {
        runs.push('cleaned up');
      }
    });
    const asked = (await call(client)).json.result;
    expect(asked).toEqual({
      resultType: 'input_required',
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'test-server', version: '1.0.0' } },
      inputRequests: {
        'question-1': {
          method: 'elicitation/create',
          params: {
            mode: 'form',
            message: 'Name?',
            requestedSchema: expect.objectContaining({ type: 'object', required: ['name'] }),
          },
        },
      },
      requestState: expect.any(String),
    });
    expect(asked.inputRequests['question-1'].params.requestedSchema).not.toHaveProperty('$schema');
    const inputResponses = { 'question-1': accept({ name: 'Ada' }) };
    expect(textOf(await call(client, { inputResponses, requestState: asked.requestState }))).toBe(
      'Hello Ada',
    );
    expect(seen).toEqual(['run', 'cleaned up', 'run', 'cleaned up']);
  });

  it('sends questions asked together together, under their keys', async () => {
    const { client } = await createServer(async (context) => {
      const [form, url, model, roots] = await Promise.all([
        context.elicit('Name?', name, { key: 'who' }),
        context.elicitUrl('Sign in', 'https://example.com/sign-in', { key: 'where' }),
        context.sample({ messages: [], maxTokens: 5 }),
        context.listRoots(),
      ]);
      return JSON.stringify([form, url, model.model, roots]);
    });
    const { inputRequests, requestState } = (await call(client)).json.result;
    expect(Object.entries(inputRequests).map(([key, { method }]: Json) => [key, method])).toEqual([
      ['who', 'elicitation/create'],
      ['where', 'elicitation/create'],
      ['question-3', 'sampling/createMessage'],
      ['question-4', 'roots/list'],
    ]);
    // This era has no elicitation ids.
    expect(inputRequests.where.params).toEqual({
      mode: 'url',
      message: 'Sign in',
      url: 'https://example.com/sign-in',
    });
    const inputResponses = {
      who: { action: 'decline' },
      where: { action: 'accept' },
      'question-3': { role: 'assistant', content: { type: 'text', text: 'x' }, model: 'm' },
      'question-4': { roots: [{ uri: 'file:///a' }] },
      'never-asked': { anything: true },
    };
    expect(JSON.parse(textOf(await call(client, { inputResponses, requestState })))).toEqual([
      { action: 'decline' },
      'accept',
      'm',
      [{ uri: 'file:///a' }],
    ]);
  });

  it('over several rounds keeps the answers of earlier ones', async () => {
    const { client } = await createServer(async (context) => {
      const words: string[] = [];
      for (const question of ['one', 'two', 'three']) {
        const answer = await context.elicitForm({
          message: question,
          requestedSchema: { type: 'object', properties: {} },
        });
        words.push(String(answer.action === 'accept' && answer.content['word']));
      }
      return words.join(' ');
    });
    let reply = (await call(client)).json.result;
    const states = [reply.requestState];
    for (const word of ['a', 'b', 'c']) {
      const [key] = Object.keys(reply.inputRequests ?? {});
      reply = (
        await call(client, {
          inputResponses: { [key as string]: accept({ word }) },
          requestState: reply.requestState,
        })
      ).json.result;
      states.push(reply.requestState);
    }
    expect(reply.content[0].text).toBe('a b c');
    expect(new Set(states.slice(0, 3)).size).toBe(3);
  });

  it('asks again when the answer is missing or does not fit', async () => {
    const { client } = await createServer(async (context) => {
      const answer = await context.elicit('Name?', name);
      return answer.action === 'accept' ? answer.content.name : answer.action;
    });
    let { requestState } = (await call(client)).json.result;
    for (const inputResponses of [
      {},
      { 'question-1': accept({ name: 'x' }) },
      { 'question-1': accept({}) },
      { 'question-1': { action: 'maybe' } },
      { 'question-1': 'Ada' },
      { 'question-1': null },
      { other: accept({ name: 'Ada' }) },
    ]) {
      const { result } = (await call(client, { inputResponses, requestState })).json;
      expect(result).toMatchObject({ resultType: 'input_required' });
      expect(Object.keys(result.inputRequests)).toEqual(['question-1']);
      ({ requestState } = result);
    }
    expect(
      textOf(await call(client, { inputResponses: { 'question-1': accept({ name: 'Ada' }) }, requestState })),
    ).toBe('Ada');
  });

  it('runs `once` once over all rounds', async () => {
    const { client, seen } = await createServer(async (context, runs) => {
      const id = await context.once('id', () => {
        runs.push('made');
        return { id: runs.length };
      });
      const nothing = await context.once('nothing', () => {
        runs.push('nothing');
      });
      await context.elicit('Name?', name);
      return JSON.stringify([id, nothing ?? null]);
    });
    const { requestState } = (await call(client)).json.result;
    const inputResponses = { 'question-1': { action: 'cancel' } };
    expect(textOf(await call(client, { inputResponses, requestState }))).toBe('[{"id":1},null]');
    expect(seen).toEqual(['made', 'nothing']);
  });

  it.each(['__proto__', 'constructor', 'toString', ''])('can use %j as a key', async (key) => {
    const { client, seen } = await createServer(async (context, runs) => {
      await context.once(key, () => {
        runs.push('made');
      });
      return (await context.elicit('Name?', name, { key })).action;
    });
    const asked = (await call(client)).json.result;
    expect(Object.keys(asked.inputRequests)).toEqual([key]);
    const inputResponses = JSON.parse(`{${JSON.stringify(key)}:{"action":"decline"}}`);
    expect(textOf(await call(client, { inputResponses, requestState: asked.requestState }))).toBe('decline');
    expect(seen).toEqual(['made']);
  });

  it('cannot be turned into a result by a handler that catches everything', async () => {
    const { client } = await createServer(async (context) => {
      try {
        await context.elicit('Name?', name);
      } catch {
        return 'deleted without asking';
      }
      return 'asked';
    });
    expect((await call(client)).json.result.resultType).toBe('input_required');
  });

  it('is not undone by a handler that does not wait for its questions, nor does it fail the process', async () => {
    const { client } = await createServer(async (context) => {
      const first = context.elicit('One?', name);
      const second = context.elicit('Two?', name);
      void context.sample({ messages: [], maxTokens: 1 });
      return `${(await first).action} ${(await second).action}`;
    });
    const { inputRequests } = (await call(client)).json.result;
    expect(Object.keys(inputRequests)).toEqual(['question-1', 'question-2', 'question-3']);
    await settle();
  });

  it('may ask so many questions and keep so much, and no more', async () => {
    const asking = await createServer(async (context) => {
      await Promise.all(Array.from({ length: 60 }, () => context.elicit('Name?', name)));
      return 'done';
    });
    expect(Object.keys((await call(asking.client)).json.result.inputRequests).length).toBe(50);
    const keeping = await createServer(async (context) => {
      await context.once('big', () => 'x'.repeat(maxRememberedBytes));
      return 'done';
    });
    expect((await call(keeping.client)).json.result.isError).toBe(true);
  });

  it('tells a client whose answers are too long to be carried', async () => {
    const { client, lines } = await createServer(async (context) => {
      await context.sample({ messages: [], maxTokens: 5 });
      await context.elicit('Name?', name);
      return 'done';
    });
    const { requestState } = (await call(client)).json.result;
    const text = 'x'.repeat(100_000);
    const inputResponses = {
      'question-1': { role: 'assistant', content: { type: 'text', text }, model: 'm' },
    };
    const reply = await call(client, { inputResponses, requestState });
    expect(reply.json.error.code).toBe(-32602);
    expect(lines).toEqual([]);
  });

  it('can be a prompt or the reading of a resource, and nothing else', async () => {
    const ask = async (context: HandlerContext): Promise<string> =>
      (await context.elicit('Name?', name)).action;
    const { engine } = await createTestEngine({
      prompts: [
        definePrompt({
          name: 'p',
          complete: { x: async (_, context) => [await ask(context)] },
          handler: (_, context) => ask(context),
        }),
      ],
      resources: [defineResource({ name: 'r', uri: 'x://r', read: ask })],
    });
    const client = new TestClient(engine, alice);
    for (const [method, params] of [
      ['prompts/get', { name: 'p' }],
      ['resources/read', { uri: 'x://r' }],
    ] as const) {
      const asked = (await client.modern(method, params, { capabilities: all })).json.result;
      expect(asked.resultType).toBe('input_required');
      const inputResponses = { 'question-1': { action: 'decline' } };
      const { requestState } = asked;
      const done = await client.modern(
        method,
        { ...params, inputResponses, requestState },
        { capabilities: all },
      );
      expect(done.json.result.resultType).toBe('complete');
    }
    const completion = await client.modern(
      'completion/complete',
      { ref: { type: 'ref/prompt', name: 'p' }, argument: { name: 'x', value: '' } },
      { capabilities: all },
    );
    expect(completion.json.error.code).toBe(-32603);
  });
});

describe('request state', () => {
  const ask: Handler = async (context) => (await context.elicit('Name?', name)).action;
  const inputResponses = { 'question-1': { action: 'decline' } };
  const refused = async (reply: Promise<Received>): Promise<void> => {
    const { json, status } = await reply;
    expect([status, json.error?.code]).toEqual([200, -32602]);
  };

  it('is bound to its principal and tenant', async () => {
    const { engine, client } = await createServer(ask);
    const { requestState } = (await call(client)).json.result;
    for (const other of [createPrincipal('bob'), createPrincipal('alice', 'other')])
      await refused(call(new TestClient(engine, other), { inputResponses, requestState }));
    expect(textOf(await call(client, { inputResponses, requestState }))).toBe('decline');
  });

  it('is bound to its request, whatever the order of the arguments', async () => {
    const { client } = await createServer(ask);
    const { requestState } = (await call(client)).json.result;
    const more = { inputResponses, requestState };
    for (const args of [{ a: 2, b: [{ c: 2, d: 3 }] }, { a: 1, b: [{ c: 2, d: 4 }] }, { a: 1 }, {}])
      await refused(call(client, { ...more, arguments: args }));
    expect(textOf(await call(client, { ...more, arguments: { b: [{ d: 3, c: 2 }], a: 1 } }))).toBe('decline');
  });

  it('is refused when it was altered, is no text, or is of another server', async () => {
    const { client } = await createServer(ask);
    const elsewhere = await createServer(ask);
    const { requestState } = (await call(client)).json.result;
    const foreign = (await call(elsewhere.client)).json.result.requestState;
    const flipped =
      requestState.slice(0, -2) + (requestState.at(-2) === 'A' ? 'B' : 'A') + requestState.at(-1);
    for (const state of [flipped, requestState.slice(1), '', 5, {}, foreign])
      await refused(call(client, { inputResponses, requestState: state }));
  });

  it('is checked even where nobody asks', async () => {
    const { client } = await createServer(async () => 'no questions');
    await refused(call(client, { requestState: 'forged' }));
  });

  it('expires', async () => {
    let now = 1_000_000_000;
    const { client } = await createServer(ask, { now: () => now, limits: { requestStateTtlSeconds: 60 } });
    const { requestState } = (await call(client)).json.result;
    now += 59_000;
    expect(textOf(await call(client, { inputResponses, requestState }))).toBe('decline');
    now += 2000;
    await refused(call(client, { inputResponses, requestState }));
  });

  it('is not needed by a client that answers at once', async () => {
    const { client } = await createServer(ask);
    expect(textOf(await call(client, { inputResponses }))).toBe('decline');
    expect((await call(client, { inputResponses: [] })).json.error?.code).toBe(-32602);
  });
});

describe('a question that needs what the client did not declare', () => {
  const form: Handler = async (context) => (await context.elicit('Name?', name)).action;
  const url: Handler = (context) => context.elicitUrl('Go', 'https://example.com');
  const sample: Handler = async (context) => (await context.sample({ messages: [], maxTokens: 1 })).model;
  const sampleWithTools: Handler = async (context) =>
    (await context.sample({ messages: [], maxTokens: 1, tools: [] })).model;
  const roots: Handler = async (context) => String((await context.listRoots()).length);

  it.each<[string, Handler, Record<string, unknown>, Record<string, unknown> | undefined]>([
    ['a form', form, {}, { elicitation: { form: {} } }],
    ['a form', form, { elicitation: { url: {} } }, { elicitation: { form: {} } }],
    // An empty object means forms: the only kind there was when it was written.
    ['a form', form, { elicitation: {} }, undefined],
    ['a form', form, { elicitation: { form: {} } }, undefined],
    ['a form', form, { elicitation: null }, { elicitation: { form: {} } }],
    ['a URL', url, { elicitation: {} }, { elicitation: { url: {} } }],
    ['a URL', url, { elicitation: null }, { elicitation: { url: {} } }],
    ['a URL', url, { elicitation: { url: {} } }, undefined],
    ['sampling', sample, {}, { sampling: {} }],
    ['sampling', sample, { sampling: null }, { sampling: {} }],
    ['sampling', sample, { sampling: {} }, undefined],
    ['sampling with tools', sampleWithTools, { sampling: {} }, { sampling: { tools: {} } }],
    ['sampling with tools', sampleWithTools, { sampling: { tools: {} } }, undefined],
    ['roots', roots, {}, { roots: {} }],
    ['roots', roots, { roots: null }, { roots: {} }],
    ['roots', roots, { roots: {} }, undefined],
  ])('%s: refused by what it lacks', async (_, handler, capabilities, required) => {
    const { client } = await createServer(handler);
    const reply = await call(client, {}, capabilities);
    if (required === undefined) {
      expect(reply.json.result.resultType).toBe('input_required');
      return;
    }
    expect(reply.status).toBe(400);
    expect(reply.json.error).toMatchObject({ code: -32021, data: { requiredCapabilities: required } });
  });
});

describe('a call of a session that asks', () => {
  const ask: Handler = async (context, seen) => {
    const answer = await context.elicit('Name?', name, { timeoutMs: 60_000 });
    seen.push(answer.action);
    return answer.action === 'accept' ? `Hello ${answer.content.name}` : answer.action;
  };
  const isQuestion = ({ id, method }: Json): boolean => id !== undefined && method !== undefined;
  const isResponse = ({ method }: Json): boolean => method === undefined;
  const open = async (
    handler: Handler,
    options: TestEngineOptions = {},
  ): Promise<{ engine: Engine; session: Awaited<ReturnType<TestClient['initialize']>>; seen: string[] }> => {
    const { engine, client, seen } = await createServer(handler, options);
    return { engine, session: await client.initialize({ capabilities: all }), seen };
  };
  const start = (session: Awaited<ReturnType<TestClient['initialize']>>): Promise<Received> =>
    session.request('tools/call', { name: 't' });

  it('waits for the answer on its own stream, and runs once', async () => {
    const { session, seen } = await open(async (context, runs) => {
      runs.push('run');
      return ask(context, runs);
    });
    const reply = await start(session);
    const question = await reply.message(isQuestion);
    expect(question.params).toMatchObject({ mode: 'form', message: 'Name?' });
    await session.answer(question, accept({ name: 'Ada' }));
    expect((await reply.message(isResponse)).result.content[0].text).toBe('Hello Ada');
    expect(seen).toEqual(['run', 'accept']);
  });

  it('gives each of several questions its own answer, in any order', async () => {
    const { session } = await open(async (context) => {
      const answers = await Promise.all([
        context.elicit('One', name),
        context.elicitUrl('Two', 'https://example.com', { key: 'two' }),
        context.listRoots(),
      ]);
      return JSON.stringify(answers);
    });
    const reply = await start(session);
    const roots = await reply.message(({ method }) => method === 'roots/list');
    const two = await reply.message(({ params }) => params?.message === 'Two');
    const one = await reply.message(({ params }) => params?.message === 'One');
    expect(two.params.elicitationId).toBe('two');
    await session.answer(roots, { roots: [] });
    await session.answer(two, { action: 'decline' });
    await session.answer(one, accept({ name: 'Ada' }));
    const text = (await reply.message(isResponse)).result.content[0].text;
    expect(JSON.parse(text)).toEqual([accept({ name: 'Ada' }), 'decline', []]);
  });

  it("takes no answer from another session, its principal's own ones included", async () => {
    const { engine, session, seen } = await open(ask);
    const reply = await start(session);
    const question = await reply.message(isQuestion);
    for (const principal of [alice, createPrincipal('bob')]) {
      const other = await new TestClient(engine, principal).initialize();
      expect((await other.answer(question, accept({ name: 'Mallory' }))).status).toBe(202);
    }
    await settle();
    expect(seen).toEqual([]);
    await session.answer(question, accept({ name: 'Ada' }));
    expect((await reply.message(isResponse)).result.content[0].text).toBe('Hello Ada');
  });

  it('takes no answer of another principal, who knows session and question', async () => {
    const { engine, session, seen } = await open(ask);
    const reply = await start(session);
    const question = await reply.message(isQuestion);
    const thief = session.through(new TestClient(engine, createPrincipal('bob')));
    await expect(thief.answer(question, accept({ name: 'Mallory' }))).rejects.toMatchObject({
      code: 'session_unknown',
    });
    await settle();
    expect(seen).toEqual([]);
    await session.answer(question, accept({ name: 'Ada' }));
    expect((await reply.message(isResponse)).result.content[0].text).toBe('Hello Ada');
  });

  it('takes the first answer only, and none to a question that nobody asked', async () => {
    const { session, seen } = await open(ask);
    const reply = await start(session);
    const question = await reply.message(isQuestion);
    for (const id of ['test.999', 'test.1x', 'x', '.1', 1, `${question.id} `])
      await session.answer({ id }, accept({ name: 'Nobody' }));
    await session.answer(question, { action: 'decline' });
    await session.answer(question, accept({ name: 'Late' }));
    await reply.untilEnded();
    expect(seen).toEqual(['decline']);
  });

  it.each<[string, (id: Json) => Json, RegExp]>([
    ['an error', (id) => ({ id, error: { code: -1, message: 'user is away' } }), /user is away/],
    ['what is no answer', (id) => ({ id, result: { action: 'maybe' } }), /malformed/],
    ['what does not fit the form', (id) => ({ id, result: accept({ name: 'x' }) }), /does not fit the form/],
  ])('is told when the client answers with %s', async (_, render, told) => {
    const { session } = await open(ask);
    const reply = await start(session);
    const question = await reply.message(isQuestion);
    await session.send({ body: { jsonrpc: '2.0', ...render(question.id) } });
    const { result } = await reply.message(isResponse);
    expect(result.isError).toBe(true);
    expect(result.content[0].text).toMatch(told);
  });

  it('is told when the client does not answer in time', async () => {
    const { session } = await open(async (context) => (await context.elicit('Name?', name)).action, {
      limits: { questionTimeoutMs: 10 },
    });
    const { result } = await (await start(session)).message(isResponse);
    expect(result).toMatchObject({
      isError: true,
      content: [{ text: 'The client did not answer within 10 ms' }],
    });
  });

  it('waits no longer once it is cancelled', async () => {
    const { engine, session, seen } = await open(async (context, failures) => {
      try {
        return await ask(context, failures);
      } catch (error) {
        failures.push((error as Error).message);
        throw error;
      }
    });
    const reply = await session.request('tools/call', { name: 't' }, 'call-1');
    const question = await reply.message(isQuestion);
    await session.notify('notifications/cancelled', { requestId: 'call-1' });
    await reply.untilEnded();
    await settle();
    await session.answer(question, accept({ name: 'Ada' }));
    expect(seen).toEqual(['The call ended before the client answered']);
    expect(engine.calls.count).toBe(0);
  });

  it('asks nothing that the client did not declare', async () => {
    const { client } = await createServer(ask);
    const reply = await start(await client.initialize({ capabilities: {} }));
    expect(reply.json.error).toMatchObject({ code: -32021 });
  });

  it('may leave its questions behind: their late failure fails nothing', async () => {
    const { session } = await open(
      async (context) => {
        void context.elicit('Name?', name);
        return 'done';
      },
      { limits: { questionTimeoutMs: 1 } },
    );
    const reply = await start(session);
    await reply.message(isResponse);
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
    await settle();
  });
});
