/** A `requestState` is good for one run, on whichever instance. MCP 2026-07-28, Multi Round-Trip Requests, Security. */
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { UpstreamError } from '../../errors.ts';
import { definePrompt, defineResource, defineTool } from '../../mcp/server-definition.ts';
import {
  createPrincipal,
  createSharedStores,
  createTestEngine,
  type SharedStores,
  type TestEngine,
} from '../../mcp/test-engine.contract.ts';
import { type Json, type Received, TestClient } from './test-client.contract.ts';

const capabilities = { elicitation: { form: {} } };
const inputResponses = { sure: { action: 'accept', content: { yes: true } } };
const sure = z.object({ yes: z.boolean() });
const used = { code: -32602, data: { reason: 'request_state_used' } };

/** What each run did after it had its answer. */
type Ledger = string[];

interface Instance extends TestEngine {
  readonly client: TestClient;
}

async function start(ledger: Ledger, shared: SharedStores, instanceId = 'one'): Promise<Instance> {
  const made = await createTestEngine(
    {
      tools: [
        defineTool({
          name: 'pay',
          input: z.object({ amount: z.int().meta({ 'x-mcp-header': 'Amount' }) }),
          handler: async ({ amount }, context) => {
            const answer = await context.elicit('Sure?', sure, { key: 'sure' });
            ledger.push(`${instanceId} paid ${amount}: ${answer.action}`);
            return `paid ${amount}`;
          },
        }),
        defineTool({
          name: 'twice',
          input: z.object({}),
          handler: async (_, context) => {
            await context.once('order', () => void ledger.push('ordered'));
            await context.elicit('First?', sure, { key: 'sure' });
            await context.elicit('Second?', sure, { key: 'second' });
            ledger.push('done');
            return context.handles.open<string>(context.handles.seal('kept'));
          },
        }),
      ],
      prompts: [
        definePrompt({
          name: 'p',
          handler: async (_, context) => {
            await context.elicit('Sure?', sure, { key: 'sure' });
            ledger.push('prompted');
            return 'text';
          },
        }),
      ],
      resources: [
        defineResource({
          name: 'r',
          uri: 'x://r',
          read: async (context) => {
            await context.elicit('Sure?', sure, { key: 'sure' });
            ledger.push('read');
            return 'text';
          },
        }),
      ],
    },
    { shared, instanceId },
  );
  return { ...made, client: new TestClient(made.engine, createPrincipal('alice')) };
}

function pay(client: TestClient, more: Json = {}, header = '7'): Promise<Received> {
  return client.modern(
    'tools/call',
    { name: 'pay', arguments: { amount: 7 }, ...more },
    { capabilities, headers: { 'mcp-param-amount': header } },
  );
}

async function ask(client: TestClient): Promise<string> {
  return (await pay(client)).json.result.requestState;
}

describe('a request state', () => {
  it('runs its call once when it is presented again, and says why not the second time', async () => {
    const ledger: Ledger = [];
    const { client, lines } = await start(ledger, createSharedStores());
    const requestState = await ask(client);
    expect((await pay(client, { inputResponses, requestState })).json.result.content[0].text).toBe('paid 7');
    for (const answers of [inputResponses, { sure: { action: 'decline' } }, undefined]) {
      const { status, json } = await pay(client, { inputResponses: answers, requestState });
      expect([status, json.error]).toEqual([200, expect.objectContaining(used)]);
    }
    expect(ledger).toEqual(['one paid 7: accept']);
    expect(lines).toEqual([]);
  });

  it('runs its call once when twenty present it at once to two instances', async () => {
    const ledger: Ledger = [];
    const shared = createSharedStores();
    const [one, two] = [await start(ledger, shared), await start(ledger, shared, 'two')];
    const requestState = await ask(one.client);
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        pay((index % 2 === 0 ? one : two).client, { inputResponses, requestState }),
      ),
    );
    expect(ledger).toHaveLength(1);
    expect(replies.filter(({ json }) => json.result !== undefined)).toHaveLength(1);
    for (const { json } of replies) if (json.error !== undefined) expect(json.error).toMatchObject(used);
  });

  it('lets each round run once, and leaves handles and what was kept over rounds as they were', async () => {
    const ledger: Ledger = [];
    const { client } = await start(ledger, createSharedStores());
    const twice = (more: Json = {}): Promise<Received> =>
      client.modern('tools/call', { name: 'twice', arguments: {}, ...more }, { capabilities });
    const first = (await twice()).json.result.requestState;
    const second = (await twice({ inputResponses, requestState: first })).json.result.requestState;
    expect((await twice({ inputResponses, requestState: first })).json.error).toMatchObject(used);
    const answers = { second: inputResponses.sure };
    const done = await twice({ inputResponses: answers, requestState: second });
    expect(done.json.result.content[0].text).toBe('kept');
    expect((await twice({ inputResponses: answers, requestState: second })).json.error).toMatchObject(used);
    expect(ledger).toEqual(['ordered', 'done']);
  });

  it.each([
    ['prompts/get', { name: 'p' }, 'prompted'],
    ['resources/read', { uri: 'x://r' }, 'read'],
  ])('is used up by %s too', async (method, params, what) => {
    const ledger: Ledger = [];
    const { client } = await start(ledger, createSharedStores());
    const { requestState } = (await client.modern(method, params, { capabilities })).json.result;
    const retry = { ...params, inputResponses, requestState };
    expect((await client.modern(method, retry, { capabilities })).json.result.resultType).toBe('complete');
    expect((await client.modern(method, retry, { capabilities })).json.error).toMatchObject(used);
    expect(ledger).toEqual([what]);
  });

  it('is not used up by what was refused before the handler, nor by another principal', async () => {
    const ledger: Ledger = [];
    const { client, engine } = await start(ledger, createSharedStores());
    const requestState = await ask(client);
    const bob = new TestClient(engine, createPrincipal('bob'));
    for (const refused of [
      await pay(client, { inputResponses: [], requestState }),
      await pay(client, { inputResponses, requestState }, '8'),
      await pay(bob, { inputResponses, requestState }),
      await pay(client, { inputResponses, requestState, arguments: { amount: '7' } }),
    ]) {
      expect(refused.json.error.code).toBeLessThan(0);
      expect(refused.json.error.data?.reason).not.toBe('request_state_used');
    }
    expect((await pay(client, { inputResponses, requestState })).json.result.content[0].text).toBe('paid 7');
    expect(ledger).toEqual(['one paid 7: accept']);
  });

  it('does not run, and can be presented again, when it cannot be known whether it was used', async () => {
    const ledger: Ledger = [];
    const shared = createSharedStores();
    let isAway = true;
    const claims: SharedStores['claims'] = {
      claim: (id, expiresAt) =>
        isAway
          ? Promise.reject(new UpstreamError('redis', 'away', { retryAfterSeconds: 3 }))
          : shared.claims.claim(id, expiresAt),
    };
    const { client, lines } = await start(ledger, { ...shared, claims });
    const requestState = await ask(client);
    const refused = await pay(client, { inputResponses, requestState });
    expect([refused.status, refused.headers['Retry-After'], refused.json.error.data]).toEqual([
      503,
      '3',
      { code: 'unavailable' },
    ]);
    expect(ledger).toEqual([]);
    expect(lines).toMatchObject([{ level: 'error', event: 'upstream.failed' }]);
    isAway = false;
    expect((await pay(client, { inputResponses, requestState })).json.result.content[0].text).toBe('paid 7');
  });

  it('is as good as altered once it has expired, used or not', async () => {
    let now = 1_000_000_000;
    const ledger: Ledger = [];
    const { client } = await start(ledger, createSharedStores({ now: () => now }));
    const [first, second] = [await ask(client), await ask(client)];
    await pay(client, { inputResponses, requestState: first });
    now += 600_000;
    for (const requestState of [first, second]) {
      const { error } = (await pay(client, { inputResponses, requestState })).json;
      expect(error).toMatchObject({ code: -32602, data: { reason: 'invalid_request_state' } });
    }
    expect(ledger).toHaveLength(1);
  });
});
