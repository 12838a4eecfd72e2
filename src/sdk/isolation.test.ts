import { McpServer } from '@modelcontextprotocol/server';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it, vi } from 'vitest';
import type { DispatchTarget } from '../mcp/dispatch-target.ts';
import { maxClosing } from './closing-queue.ts';
import { createSdkTarget } from './create-sdk-target.ts';
import {
  createExchange,
  createHostedServer,
  createPrincipal,
  createTestBox,
} from './hosted-server.contract.ts';
import type { RecordingExchange } from './hosted-server.contract.ts';
import { maxVisits } from './notification-visits.ts';

const eras = ['legacy', 'modern'] as const;
const box = createTestBox();

describe.each(eras)('two callers of one hosted server, in the %s era', (era) => {
  it('at the same time and with the same request ids, never see each other', async () => {
    const target = await createSdkTarget(createMeetingServer, { box });
    const exchanges = Array.from({ length: 40 }, (_none, index) =>
      createCaller(era, index % 2 === 0 ? 'alice' : 'bob'),
    );
    const texts = await Promise.all(exchanges.map((exchange) => call(target, 'meet', exchange)));
    for (const [index, exchange] of exchanges.entries()) {
      const name = index % 2 === 0 ? 'alice' : 'bob';
      expect(texts[index]).toBe(`${name}-client key-${name}`);
      expect(exchange.notifications.map(({ params }) => params?.['word'])).toEqual([
        `key-${name}`,
        `key-${name}`,
      ]);
      expect(exchange.changes).toEqual([
        { kind: 'resource_updated', uri: `test://key-${name}`, tenantId: `tenant-${name}` },
      ]);
    }
  });

  it('one after the other: what a finished handler still says reaches nobody', async () => {
    let finish: () => void = () => undefined;
    const late: Promise<unknown>[] = [];
    const target = await createSdkTarget(
      () => createLateServer(new Promise((resolve) => (finish = resolve)), late),
      { box },
    );
    const alice = createCaller(era, 'alice');
    await call(target, 'later', alice);
    const finishAlice = finish;
    const bob = createCaller(era, 'bob');
    await call(target, 'later', bob);
    finishAlice();
    await Promise.allSettled(late.slice(0, 1));
    expect([alice.notifications, bob.notifications]).toEqual([[], []]);
  });
});

describe('what an exchange leaves behind', () => {
  it.each(eras)('is nothing: instances are closed and collected, in the %s era', async (era) => {
    const built: WeakRef<object>[] = [];
    let closed = 0;
    const target = await createSdkTarget(
      () => {
        const server = createHostedServer();
        server.server.onclose = () => (closed += 1);
        built.push(new WeakRef(server));
        return server;
      },
      { box },
    );
    const controller = new AbortController();
    const before = { built: built.length, closed };
    for (let round = 0; round < 60; round += 1) {
      await call(
        target,
        round % 2 === 0 ? 'talk' : 'nope',
        createExchange(era, { signal: controller.signal }),
      ).catch(() => undefined);
    }
    await vi.waitFor(() => expect(closed - before.closed).toBe(60));
    expect(built.length - before.built).toBe(60);
    const alive = await countAlive(built);
    expect(alive).toBeLessThan(10);
  });

  it('is nothing after a cancelled call either', async () => {
    let closed = 0;
    const target = await createSdkTarget(
      () => {
        const server = createHostedServer();
        server.server.onclose = () => (closed += 1);
        return server;
      },
      { box },
    );
    closed = 0;
    const controller = new AbortController();
    const waiting = call(target, 'wait', createExchange('legacy', { signal: controller.signal }));
    await setImmediate();
    controller.abort();
    await expect(waiting).rejects.toThrow('Request cancelled');
    await vi.waitFor(() => expect(closed).toBe(1));
  });

  it('is bounded in a burst that never yields to the event loop', async () => {
    let open = 0;
    const target = await createSdkTarget(
      () => {
        open += 1;
        const server = createHostedServer();
        server.server.onclose = () => (open -= 1);
        return server;
      },
      { box },
    );
    for (let round = 0; round < maxClosing + 50; round += 1)
      await call(target, 'listen', createExchange('modern'));
    expect(open).toBeLessThanOrEqual(maxClosing + 1);
    await target.close();
    expect(open).toBe(0);
  });

  it('is bounded for notifications, and nothing once the target is closed', async () => {
    let open = 0;
    const target = await createSdkTarget(
      () => {
        open += 1;
        const server = createHostedServer();
        server.server.onclose = () => (open -= 1);
        return server;
      },
      { box },
    );
    expect(open).toBe(0);
    for (let sent = 0; sent < maxVisits + 20; sent += 1) {
      target.notified?.(
        { jsonrpc: '2.0', method: 'acme/poke', params: { uri: 'test://x' } },
        createExchange('legacy'),
      );
    }
    await vi.waitFor(() => expect(open).toBe(maxVisits));
    await target.close();
    expect(open).toBe(0);
  });
});

function createMeetingServer(): McpServer {
  const server = new McpServer({ name: 'meeting', version: '1' }, { capabilities: { resources: {} } });
  server.registerTool('meet', {}, async (ctx) => {
    const word = ctx.http?.authInfo?.clientId ?? 'nobody';
    await ctx.mcpReq.notify({ method: 'acme/said', params: { word } });
    await setImmediate();
    await server.server.sendResourceUpdated({ uri: `test://${word}` });
    await setImmediate();
    await ctx.mcpReq.notify({ method: 'acme/said', params: { word } });
    return {
      content: [{ type: 'text', text: `${server.server.getClientVersion()?.name ?? 'unnamed'} ${word}` }],
    };
  });
  return server;
}

function createLateServer(until: Promise<void>, late: Promise<unknown>[]): McpServer {
  const server = new McpServer({ name: 'late', version: '1' });
  server.registerTool('later', {}, (ctx) => {
    late.push(until.then(() => ctx.mcpReq.notify({ method: 'acme/said', params: { word: 'too late' } })));
    return { content: [{ type: 'text', text: 'done' }] };
  });
  return server;
}

function createCaller(era: 'modern' | 'legacy', name: string): RecordingExchange {
  return createExchange(era, {
    principal: createPrincipal(name),
    clientInfo: { name: `${name}-client`, version: '1' },
  });
}

async function call(target: DispatchTarget, name: string, exchange: RecordingExchange): Promise<string> {
  const result = JSON.parse(
    await target.dispatch({ method: 'tools/call', params: { name, arguments: {} } }, exchange),
  ) as {
    readonly content: readonly { readonly text: string }[];
  };
  return result.content[0]?.text ?? '';
}

/** Instances that a full collection does not free. */
async function countAlive(references: readonly WeakRef<object>[]): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  // A reference that was read stays alive until its turn ends.
  await setImmediate();
  collect();
  return references.filter((reference) => reference.deref() !== undefined).length;
}
