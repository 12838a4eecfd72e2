/** One `requestState`, two instances on one Redis, and servers of both kinds: one run. */
import { McpServer } from '@modelcontextprotocol/server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { TestClient, type Json, type Received } from '../../src/http/endpoints/test-client.contract.ts';
import { compileServer } from '../../src/mcp/compiled-server.ts';
import type { DispatchTarget } from '../../src/mcp/dispatch-target.ts';
import type { SealedBox } from '../../src/mcp/sealed-box.ts';
import { defineServer, defineTool } from '../../src/mcp/server-definition.ts';
import { createPrincipal, createSharedStores, createTestEngine } from '../../src/mcp/test-engine.contract.ts';
import { createRedisClaims } from '../../src/redis/redis-claims.ts';
import { openRedis } from '../../src/redis/redis-connection.ts';
import { createSdkTarget } from '../../src/sdk/create-sdk-target.ts';
import { startRedis } from '../redis-server.ts';
import { createTestBox, createTestLog, startRedisBench, type RedisBench } from './redis-bench.ts';

const capabilities = { elicitation: { form: {} } };
const yes = { type: 'object' as const, properties: { yes: { type: 'boolean' as const } } };
const inputResponses = { sure: { action: 'accept', content: { yes: true } } };
const used = { code: -32602, data: { reason: 'request_state_used' } };

let bench: RedisBench;

beforeAll(async () => {
  bench = await startRedisBench();
});

afterAll(() => bench.stop());

type MakeTarget = (ledger: string[], box: SealedBox) => Promise<DispatchTarget>;

const makeNative: MakeTarget = async (ledger) =>
  compileServer(
    defineServer({
      name: 'native',
      version: '1.0.0',
      tools: [
        defineTool({
          name: 'pay',
          input: z.object({}),
          handler: async (_, context) => {
            await context.elicit('Sure?', z.object({ yes: z.boolean() }), { key: 'sure' });
            ledger.push('paid');
            return 'paid';
          },
        }),
      ],
    }),
  );

const makeHosted: MakeTarget = (ledger, box) =>
  createSdkTarget(
    () => {
      const server = new McpServer({ name: 'hosted', version: '1.0.0' });
      server.registerTool('pay', { inputSchema: z.object({}) }, async (_, { mcpReq }) => {
        if (mcpReq.requestState() === undefined) {
          return {
            resultType: 'input_required' as const,
            inputRequests: {
              sure: {
                method: 'elicitation/create' as const,
                params: { mode: 'form' as const, message: 'Sure?', requestedSchema: yes },
              },
            },
            requestState: 'asked',
          };
        }
        ledger.push('paid');
        return { content: [{ type: 'text' as const, text: 'paid' }] };
      });
      return server;
    },
    { box },
  );

function pay(client: TestClient, more: Json = {}): Promise<Received> {
  return client.modern('tools/call', { name: 'pay', arguments: {}, ...more }, { capabilities });
}

describe.each([
  ['our own', makeNative],
  ['a hosted', makeHosted],
])('a state of %s server, presented to two instances', (_, makeTarget) => {
  async function startBoth(): Promise<{ clients: readonly [TestClient, TestClient]; ledger: string[] }> {
    const ledger: string[] = [];
    const box = createTestBox();
    const [first, second] = bench.openEmpty();
    const start = async (redis: typeof first, instanceId: string): Promise<TestClient> => {
      const shared = { ...createSharedStores(), box, claims: createRedisClaims({ redis }) };
      const { engine } = await createTestEngine(
        { target: await makeTarget(ledger, box) },
        { shared, instanceId },
      );
      return new TestClient(engine, createPrincipal('alice'));
    };
    return { clients: [await start(first, 'one'), await start(second, 'two')], ledger };
  }

  it('twenty times at once runs its call once', async () => {
    const { clients, ledger } = await startBoth();
    const { requestState } = (await pay(clients[0])).json.result;
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_unused, index) =>
        pay(clients[index % 2] ?? clients[0], { inputResponses, requestState }),
      ),
    );
    expect(ledger).toEqual(['paid']);
    const refusals = replies.flatMap(({ json }) => (json.error === undefined ? [] : [json.error]));
    expect(refusals).toEqual(Array.from({ length: 19 }, () => expect.objectContaining(used)));
  });

  it('one after the other runs its call once, and another state runs again', async () => {
    const { clients, ledger } = await startBoth();
    for (let round = 1; round <= 2; round += 1) {
      const { requestState } = (await pay(clients[0])).json.result;
      expect((await pay(clients[1], { inputResponses, requestState })).json.result.content).toMatchObject([
        { text: 'paid' },
      ]);
      for (const client of clients)
        expect((await pay(client, { inputResponses, requestState })).json.error).toMatchObject(used);
      expect(ledger).toHaveLength(round);
    }
  });

  it('runs nothing while Redis is away', async () => {
    const server = await startRedis();
    const redis = await openRedis({ url: server.url, logger: createTestLog().logger, commandTimeoutMs: 300 });
    const ledger: string[] = [];
    const box = createTestBox();
    const shared = { ...createSharedStores(), box, claims: createRedisClaims({ redis }) };
    const { engine, lines } = await createTestEngine({ target: await makeTarget(ledger, box) }, { shared });
    const client = new TestClient(engine, createPrincipal('alice'));
    const { requestState } = (await pay(client)).json.result;
    await server.kill();
    const refused = await pay(client, { inputResponses, requestState });
    expect([refused.status, refused.json.error.data]).toEqual([503, { code: 'unavailable' }]);
    expect(ledger).toEqual([]);
    expect(lines.map(({ event }) => event)).toEqual(['upstream.failed']);
    await server.restart();
    await expect
      .poll(async () => (await pay(client, { inputResponses, requestState })).status, { timeout: 20_000 })
      .toBe(200);
    expect(ledger).toEqual(['paid']);
    await redis.close();
    await server.stop();
  });
});
