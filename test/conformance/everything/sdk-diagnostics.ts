import { inputRequired, inputResponse } from '@modelcontextprotocol/server';
import type { McpServer, ServerContext } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { pause, toSampledText, toSamplingParams } from './fixture-content.ts';
import { toText } from './sdk-content.ts';

const reconnectMs = 100;
const proceedForm = z.object({ proceed: z.boolean().optional() });

/** Tools with which the suite provokes what a server does beside answering. */
export function registerSdkDiagnostics(server: McpServer): void {
  registerNotifying(server);
  registerAsking(server);
  server.registerTool(
    'test_reconnection',
    { description: 'Tests SSE stream disconnection and client reconnection (SEP-1699)' },
    async ({ http, mcpReq }) => {
      http?.closeSSE?.();
      await pause(mcpReq.signal, reconnectMs);
      return toText(
        'Reconnection test completed successfully. If you received this, the client reconnected.',
      );
    },
  );
  server.registerTool(
    'test_trigger_tool_change',
    { description: 'Tells subscribers that the list of tools changed' },
    () => {
      server.sendToolListChanged();
      return toText('Mutation triggered');
    },
  );
  server.registerTool(
    'test_trigger_prompt_change',
    { description: 'Tells subscribers that the list of prompts changed' },
    () => {
      server.sendPromptListChanged();
      return toText('Mutation triggered');
    },
  );
}

function registerNotifying(server: McpServer): void {
  server.registerTool(
    'test_tool_with_logging',
    { description: 'Tests tool that emits log messages during execution' },
    async ({ mcpReq }) => {
      await mcpReq.log('info', 'Tool execution started');
      await pause(mcpReq.signal);
      await mcpReq.log('info', 'Tool processing data');
      await pause(mcpReq.signal);
      await mcpReq.log('info', 'Tool execution completed');
      return toText('Tool with logging executed successfully');
    },
  );
  server.registerTool(
    'test_tool_with_progress',
    { description: 'Tests tool that reports progress notifications' },
    async (context) => {
      await notifyProgress(context, 0);
      await pause(context.mcpReq.signal);
      await notifyProgress(context, 50);
      await pause(context.mcpReq.signal);
      await notifyProgress(context, 100);
      return toText('Tool with progress executed successfully');
    },
  );
  server.registerTool(
    'test_logging_tool',
    { description: 'Tests that nothing is logged to a client that named no level' },
    async ({ mcpReq }) => {
      await mcpReq.log('info', 'Diagnostic trace logging activated');
      return toText('Logging evaluated');
    },
  );
}

function registerAsking(server: McpServer): void {
  server.registerTool(
    'test_missing_capability',
    { description: 'Tests the refusal of a call that needs a capability which the client lacks' },
    ({ mcpReq }) => {
      const answer = inputResponse(mcpReq.inputResponses, 'sample');
      if (answer.kind === 'sampling') return toText(toSampledText(answer.result.content));
      const params = toSamplingParams('Say something', 10);
      return inputRequired({ inputRequests: { sample: inputRequired.createMessage(params) } });
    },
  );
  server.registerTool(
    'test_streaming_elicitation',
    { description: 'Tests that a call which asks the user sends no request on its stream' },
    async (context) => {
      await notifyProgress(context, 50);
      const answer = inputResponse(context.mcpReq.inputResponses, 'proceed');
      if (answer.kind === 'elicit') return toText(`Streaming complete: ${answer.action}`);
      const params = { message: 'Shall the stream go on?', requestedSchema: proceedForm };
      return inputRequired({ inputRequests: { proceed: inputRequired.elicit(params) } });
    },
  );
}

async function notifyProgress({ mcpReq }: ServerContext, progress: number): Promise<void> {
  const progressToken = mcpReq._meta?.progressToken;
  if (progressToken === undefined) return;
  const params = { progressToken, progress, total: 100, message: `Completed step ${progress} of 100` };
  await mcpReq.notify({ method: 'notifications/progress', params });
}
