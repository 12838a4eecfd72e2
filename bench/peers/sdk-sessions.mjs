/** The official SDK with live sessions in memory and JSON answers: its fastest way to serve the 2025 revisions. */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { NodeStreamableHTTPServerTransport } from '@modelcontextprotocol/node';
import { McpServer } from '@modelcontextprotocol/server';
import { listen, otherToolNames, toAnswer, toDescription } from './child.mjs';
import { echoSchema, otherSchema } from './schemas.mjs';

/** One transport per session; the runner opens a few dozen and then stops. */
const transports = new Map();

async function openSession() {
  const server = new McpServer({ name: 'bench', version: '1.0.0' });
  for (const name of otherToolNames) {
    server.registerTool(name, { description: toDescription(name), inputSchema: otherSchema }, toAnswer);
  }
  server.registerTool('echo', { description: toDescription('echo'), inputSchema: echoSchema }, toAnswer);
  const transport = new NodeStreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    enableJsonResponse: true,
    onsessioninitialized: (id) => transports.set(id, transport),
  });
  await server.connect(transport);
  return transport;
}

listen(
  createServer(async (request, response) => {
    const transport = transports.get(request.headers['mcp-session-id']) ?? (await openSession());
    await transport.handleRequest(request, response);
  }),
);
