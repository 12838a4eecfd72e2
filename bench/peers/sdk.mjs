/** The official SDK as its documentation wires it: a fresh server per request behind `createMcpHandler`. */
import { createServer } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { McpServer, createMcpHandler } from '@modelcontextprotocol/server';
import { listen, otherToolNames, toAnswer, toDescription } from './child.mjs';
import { echoSchema, otherSchema } from './schemas.mjs';

const handler = createMcpHandler(
  () => {
    const server = new McpServer({ name: 'bench', version: '1.0.0' });
    for (const name of otherToolNames) {
      server.registerTool(name, { description: toDescription(name), inputSchema: otherSchema }, toAnswer);
    }
    server.registerTool('echo', { description: toDescription('echo'), inputSchema: echoSchema }, toAnswer);
    return server;
  },
  { responseMode: 'json' },
);

listen(createServer(toNodeHandler(handler)));
