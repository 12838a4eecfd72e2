/**
 * The server that Mooring hosts in the benchmark. `mooring start` loads it, so what is measured is the product as its
 * users run it; the number of tools is in its environment.
 *
 * Loading it also answers the runner's questions over IPC, as `peers/child.mjs` does for the peers.
 */
import { defineServer, defineTool, type AnyTool, type ServerDefinition } from 'mooring';
import { z } from 'zod';

const toolCount = Number(process.env['BENCH_TOOLS'] ?? '1');

process.on('message', (message: unknown) => {
  const fields = typeof message === 'object' && message !== null ? (message as Record<string, unknown>) : {};
  if (fields['kind'] !== 'measure') return;
  if (fields['collect'] === true) globalThis.gc?.();
  process.send?.({ kind: 'measured', cpu: process.cpuUsage(), memory: process.memoryUsage() });
});
// The runner is gone: nobody is left to stop this process.
process.on('disconnect', () => process.exit(0));

const others = Array.from({ length: toolCount - 1 }, (_, index) => toOtherTool(`tool_${index + 1}`));

export const server: ServerDefinition = defineServer({
  name: 'bench',
  version: '1.0.0',
  tools: [
    ...others,
    defineTool({
      name: 'echo',
      description: toDescription('echo'),
      input: z.object({ text: z.string() }),
      handler: ({ text }) => text,
    }),
    // Only where it is measured: a case has as many tools as it says.
    ...(process.env['BENCH_TALKS'] === '1' ? [toAskingTool(), toTellingTool()] : []),
  ],
});

/** Asks its caller something, and returns the answer. */
function toAskingTool(): AnyTool {
  return defineTool({
    name: 'ask',
    handler: async (_, context) => {
      const answer = await context.elicit('What shall it say?', z.object({ text: z.string() }));
      return answer.action === 'accept' ? answer.content.text : answer.action;
    },
  });
}

/** Tells every client of its tenant that the tools have changed. */
function toTellingTool(): AnyTool {
  return defineTool({
    name: 'tell',
    handler: async (_, context) => {
      await context.listChanged('tools');
      return 'told';
    },
  });
}

function toOtherTool(name: string): AnyTool {
  return defineTool({
    name,
    description: toDescription(name),
    input: z.object({
      text: z.string().describe('What to return'),
      count: z.number().int().min(1).max(10).optional().describe('How often to return it'),
      tags: z.array(z.string()).optional().describe('Words to attach'),
    }),
    handler: ({ text }) => text,
  });
}

function toDescription(name: string): string {
  return `${name}: returns the text that it was given, unchanged. Use it to check that a connection works.`;
}
