import { defineTool } from '../../../src/index.ts';
import type { AnyTool } from '../../../src/mcp/server-definition.ts';
import { pause, toSampledText, toSamplingParams } from './fixture-content.ts';

const reconnectMs = 100;

/** Tools with which the suite provokes what a server does beside answering. */
export const diagnosticTools: readonly AnyTool[] = [
  defineTool({
    name: 'test_reconnection',
    description: 'Tests SSE stream disconnection and client reconnection (SEP-1699)',
    handler: async (_input, context) => {
      context.releaseConnection();
      await pause(context.signal, reconnectMs);
      return 'Reconnection test completed successfully. If you received this, the client reconnected.';
    },
  }),
  defineTool({
    name: 'test_missing_capability',
    description: 'Tests the refusal of a call that needs a capability which the client lacks',
    handler: async (_input, context) => {
      const { content } = await context.sample(toSamplingParams('Say something', 10));
      return toSampledText(content);
    },
  }),
  defineTool({
    name: 'test_streaming_elicitation',
    description: 'Tests that a call which asks the user sends no request on its stream',
    handler: async (_input, context) => {
      context.progress(50, 100);
      const { action } = await context.elicit('Shall the stream go on?', {
        type: 'object',
        properties: { proceed: { type: 'boolean' } },
      });
      return `Streaming complete: ${action}`;
    },
  }),
  defineTool({
    name: 'test_logging_tool',
    description: 'Tests that nothing is logged to a client that named no level',
    handler: (_input, context) => {
      context.log('info', 'Diagnostic trace logging activated');
      return 'Logging evaluated';
    },
  }),
  defineTool({
    name: 'test_trigger_tool_change',
    description: 'Tells subscribers that the list of tools changed',
    handler: async (_input, context) => {
      await context.listChanged('tools');
      return 'Mutation triggered';
    },
  }),
  defineTool({
    name: 'test_trigger_prompt_change',
    description: 'Tells subscribers that the list of prompts changed',
    handler: async (_input, context) => {
      await context.listChanged('prompts');
      return 'Mutation triggered';
    },
  }),
];
