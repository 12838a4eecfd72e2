/**
 * The same "everything" server written with the official SDK, to be hosted through the adapter.
 *
 * Schemas and codecs live in modules, not in the factory: the factory runs for every exchange.
 */
import { McpServer } from '@modelcontextprotocol/server';
import { registerSdkContent } from './sdk-content.ts';
import { registerSdkDiagnostics } from './sdk-diagnostics.ts';
import { registerSdkQuestions, requestStates } from './sdk-questions.ts';

const listHint = { ttlMs: 300_000, cacheScope: 'public' } as const;

/** Makes a fresh instance; one serves one exchange. */
export function createEverythingServer(): McpServer {
  const server = new McpServer(
    { name: 'mooring-everything-sdk', version: '1.0.0', title: 'Everything' },
    {
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: { listChanged: true },
        logging: {},
        completions: {},
      },
      cacheHints: { 'tools/list': listHint, 'prompts/list': listHint, 'server/discover': listHint },
      requestState: { verify: requestStates.verify },
    },
  );
  registerSdkContent(server);
  registerSdkQuestions(server);
  registerSdkDiagnostics(server);
  return server;
}
