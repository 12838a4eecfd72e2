import { describe, expect, it } from 'vitest';
import { protocolErrorCodes } from '../errors.ts';
import { compileServer } from './compiled-server.ts';
import type { Exchange } from './dispatch-target.ts';
import { definePrompt, defineServer, defineTool } from './server-definition.ts';

const notNames: readonly unknown[] = [{ toString: 1, valueOf: 1 }, {}, [], null, 1, undefined];

describe('compileServer', () => {
  it.each(notNames)('refuses %j as a name', async (name) => {
    const target = compileServer(
      defineServer({
        name: 'one',
        version: '1.0.0',
        tools: [defineTool({ name: 'tool', handler: () => 'done' })],
        prompts: [definePrompt({ name: 'prompt', handler: () => 'said' })],
      }),
    );
    // The name is looked at before anything of the exchange.
    const exchange = {} as unknown as Exchange;
    for (const method of ['tools/call', 'prompts/get']) {
      await expect(target.dispatch({ method, params: { name } }, exchange)).rejects.toMatchObject({
        code: protocolErrorCodes.invalidParams,
        message: 'Invalid params: name must be a string',
      });
    }
  });
});
