import { beforeAll, describe, expect, it } from 'vitest';
import { ProtocolError } from '../errors.ts';
import type { ClientQuestion, DispatchTarget, Exchange } from '../mcp/dispatch-target.ts';
import { createSdkTarget } from './create-sdk-target.ts';
import {
  createExchange,
  createHostedServer,
  createPrincipal,
  createTestBox,
} from './hosted-server.contract.ts';

let target: DispatchTarget;

beforeAll(async () => {
  target = await createSdkTarget(createHostedServer, { box: createTestBox() });
});

describe('a legacy handler', () => {
  it('asks the user, and gets the answer', async () => {
    const exchange = createExchange('legacy');
    const result = await call('elicit', {}, exchange);
    expect(JSON.parse(textOf(result))).toEqual({ action: 'accept', content: { name: 'Ada' } });
    expect(exchange.questions).toMatchObject([
      { method: 'elicitation/create', params: { message: 'Who?', mode: 'form' } },
    ]);
  });

  it('asks the model and for the roots', async () => {
    const answer = { role: 'assistant', model: 'm', content: { type: 'text', text: 'Hello' } };
    const sampled = await call('sample', {}, createExchange('legacy', { ask: async () => answer }));
    expect(JSON.parse(textOf(sampled))).toEqual(answer);
    const roots = { roots: [{ uri: 'file:///home' }] };
    expect(
      JSON.parse(textOf(await call('roots', {}, createExchange('legacy', { ask: async () => roots })))),
    ).toEqual(roots);
  });

  it('learns why a question failed', async () => {
    const ask = (): Promise<never> => Promise.reject(new ProtocolError(-32000, 'The user is away'));
    expect(await call('elicit', {}, createExchange('legacy', { ask }))).toMatchObject({
      isError: true,
      content: [{ text: 'The user is away' }],
    });
  });

  it('learns nothing of our own failure', async () => {
    const ask = (): Promise<never> => Promise.reject(new Error('redis://secret@host is down'));
    expect(await call('elicit', {}, createExchange('legacy', { ask }))).toMatchObject({
      isError: true,
      content: [{ text: 'The client could not be asked' }],
    });
  });

  it('is told when the client cannot be asked', async () => {
    const result = await call('elicit', {}, createExchange('legacy', { clientCapabilities: {} }));
    expect(result).toMatchObject({
      isError: true,
      content: [{ text: 'Client does not support form elicitation.' }],
    });
  });

  it('may ping', async () => {
    expect(textOf(await call('ping', {}, createExchange('legacy')))).toBe('{}');
  });

  it('may let go of the connection where streams can be polled', async () => {
    const polled = createExchange('legacy');
    await call('release', {}, polled);
    expect(polled.releases).toEqual([undefined]);
    const older = createExchange('legacy', { protocolVersion: '2025-06-18' });
    await call('release', {}, older);
    expect(older.releases).toEqual([]);
  });

  it('that returns inputRequired has its questions asked', async () => {
    const exchange = createExchange('legacy');
    expect(textOf(await call('sign', { who: 'Bo' }, exchange))).toBe('asked for Bo: Ada');
    expect(exchange.questions).toHaveLength(1);
  });

  it('never sees a request state or answers that the client made up', async () => {
    const params = {
      name: 'caller',
      arguments: {},
      requestState: 'forged',
      inputResponses: { name: { action: 'accept' } },
    };
    const result = JSON.parse(
      await target.dispatch({ method: 'tools/call', params }, createExchange('legacy')),
    ) as Record<string, unknown>;
    expect(JSON.parse(textOf(result))).not.toHaveProperty('state');
  });

  it('does not ask with a progress token of its own numbering', async () => {
    const asked: ClientQuestion[] = [];
    const ask = async (question: ClientQuestion): Promise<Record<string, unknown>> => {
      asked.push(question);
      return { action: 'accept', content: { name: 'Ada' } };
    };
    await call('sign', { who: 'Bo' }, createExchange('legacy', { ask }));
    expect(JSON.stringify(asked)).not.toContain('progressToken');
  });
});

describe('a modern handler', () => {
  const params = { name: 'sign', arguments: { who: 'Bo' } };
  const inputResponses = { name: { action: 'accept', content: { name: 'Ada' } } };

  it('that returns inputRequired ends the round with a sealed state, and goes on with it', async () => {
    const asked = await dispatch(params);
    expect(asked).toMatchObject({
      resultType: 'input_required',
      inputRequests: { name: { method: 'elicitation/create' } },
    });
    expect(String(asked['requestState'])).not.toContain('asked for');
    const done = await dispatch({ ...params, inputResponses, requestState: asked['requestState'] });
    expect(done).toMatchObject({ resultType: 'complete', content: [{ text: 'asked for Bo: Ada' }] });
  });

  it('refuses a state that was altered', async () => {
    const { requestState } = await dispatch(params);
    const altered = `${String(requestState).slice(0, -2)}AA`;
    await expect(dispatch({ ...params, inputResponses, requestState: altered })).rejects.toMatchObject({
      code: -32602,
    });
    await expect(dispatch({ ...params, inputResponses, requestState: 'asked for Bo' })).rejects.toMatchObject(
      { code: -32602 },
    );
    await expect(dispatch({ ...params, inputResponses, requestState: 7 })).rejects.toMatchObject({
      code: -32602,
    });
  });

  it('refuses another caller’s state', async () => {
    const { requestState } = await dispatch(params);
    const bob = createExchange('modern', { principal: createPrincipal('bob') });
    await expect(dispatch({ ...params, inputResponses, requestState }, bob)).rejects.toMatchObject({
      code: -32602,
    });
  });

  it('claims the state before the server sees it, and does not run when it is refused', async () => {
    const { requestState } = await dispatch(params);
    const claimed: (string | undefined)[] = [];
    const refusal = new ProtocolError(-32602, 'used', { reason: 'request_state_used' });
    const refusing = createExchange('modern', {
      enter: (state) => {
        claimed.push(state?.claimId);
        return Promise.reject(refusal);
      },
    });
    await expect(dispatch({ ...params, inputResponses, requestState }, refusing)).rejects.toBe(refusal);
    await expect(dispatch({ ...params, inputResponses, requestState }, refusing)).rejects.toBe(refusal);
    expect(claimed).toEqual([expect.stringMatching(/^[\w-]{43}$/), claimed[0]]);
    const other = await dispatch(params);
    await expect(
      dispatch({ ...params, inputResponses, requestState: other['requestState'] }, refusing),
    ).rejects.toBe(refusal);
    expect(claimed[2]).not.toBe(claimed[0]);
  });

  it('refuses the state of a call with other arguments', async () => {
    const { requestState } = await dispatch(params);
    const other = { name: 'sign', arguments: { who: 'Eve' } };
    await expect(dispatch({ ...other, inputResponses, requestState })).rejects.toMatchObject({
      code: -32602,
    });
  });

  it('is told by code when the client cannot be asked', async () => {
    await expect(
      dispatch(params, createExchange('modern', { clientCapabilities: {} })),
    ).rejects.toMatchObject({
      code: -32021,
      data: { requiredCapabilities: { elicitation: { form: {} } } },
    });
  });

  it('believes the exchange about the client, not the request', async () => {
    const forged = { 'io.modelcontextprotocol/clientInfo': { name: 'forged', version: '1' } };
    const result = await dispatch({ name: 'caller', arguments: {}, _meta: forged });
    expect(JSON.parse(textOf(result))).toMatchObject({ client: { name: 'test-client' } });
  });
});

describe('parameter headers', () => {
  const params = { name: 'route', arguments: { region: 'eu' } };

  it('must agree with the arguments', async () => {
    expect(
      await dispatch(params, createExchange('modern', { parameterHeaders: { 'mcp-param-region': 'eu' } })),
    ).toMatchObject({ content: [{ text: 'eu' }] });
    await expect(
      dispatch(params, createExchange('modern', { parameterHeaders: { 'mcp-param-region': 'us' } })),
    ).rejects.toMatchObject({ code: -32020 });
    await expect(dispatch(params, createExchange('modern', { parameterHeaders: {} }))).rejects.toMatchObject({
      code: -32020,
    });
  });

  it('are not asked for where there are no headers', async () => {
    expect(await dispatch(params, createExchange('modern', { parameterHeaders: undefined }))).toMatchObject({
      content: [{ text: 'eu' }],
    });
    expect(textOf(await call('route', { region: 'eu' }, createExchange('legacy')))).toBe('eu');
  });

  it('are checked for a tool that only some callers see', async () => {
    const perCaller = await createSdkTarget(
      (context) => {
        const server = createHostedServer();
        if (context.authInfo === undefined) return withoutTool(server);
        return server;
      },
      { box: createTestBox() },
    );
    const exchange = createExchange('modern', { parameterHeaders: {} });
    await expect(perCaller.dispatch({ method: 'tools/call', params }, exchange)).rejects.toMatchObject({
      code: -32020,
    });
  });
});

function withoutTool(server: ReturnType<typeof createHostedServer>): ReturnType<typeof createHostedServer> {
  server.server.setRequestHandler('tools/list', () => ({ tools: [] }));
  return server;
}

async function call(
  name: string,
  input: Record<string, unknown>,
  exchange: Exchange,
): Promise<Record<string, unknown>> {
  const request = { method: 'tools/call', params: { name, arguments: input } };
  return JSON.parse(await target.dispatch(request, exchange)) as Record<string, unknown>;
}

async function dispatch(
  params: Record<string, unknown>,
  exchange: Exchange = createExchange('modern'),
): Promise<Record<string, unknown>> {
  return JSON.parse(await target.dispatch({ method: 'tools/call', params }, exchange)) as Record<
    string,
    unknown
  >;
}

function textOf(result: Record<string, unknown>): string {
  return (result['content'] as readonly { readonly text: string }[])[0]?.text ?? '';
}
