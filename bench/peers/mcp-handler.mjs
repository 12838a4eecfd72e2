/** mcp-handler: a fetch handler over the official SDK, adapted to Node as Hono does it. */
import { createServer } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { createMcpHandler } from 'mcp-handler';
import { listen, otherToolNames, toAnswer, toDescription } from './child.mjs';
import { echoSchema, otherSchema } from './schemas.mjs';

const handler = createMcpHandler(
  (server) => {
    for (const name of otherToolNames) {
      server.registerTool(name, { description: toDescription(name), inputSchema: otherSchema }, toAnswer);
    }
    server.registerTool('echo', { description: toDescription('echo'), inputSchema: echoSchema }, toAnswer);
  },
  { serverInfo: { name: 'bench', version: '1.0.0' }, telemetry: false },
);

listen(createServer(getRequestListener(handler)));
