/** tmcp: one server for the whole process; it answers over SSE, having no JSON mode. */
import { createServer } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { ZodJsonSchemaAdapter } from '@tmcp/adapter-zod';
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';
import { listen, otherToolNames, toAnswer, toDescription } from './child.mjs';
import { echoSchema, otherSchema } from './schemas.mjs';

const server = new McpServer(
  { name: 'bench', version: '1.0.0', description: 'Benchmark' },
  { adapter: new ZodJsonSchemaAdapter(), capabilities: { tools: {} } },
);
for (const name of otherToolNames) {
  server.tool({ name, description: toDescription(name), schema: otherSchema }, toAnswer);
}
server.tool({ name: 'echo', description: toDescription('echo'), schema: echoSchema }, toAnswer);

const transport = new HttpTransport(server, { path: '/mcp', allowedOrigins: [] });
const notFound = () => new Response(null, { status: 404 });

listen(createServer(getRequestListener(async (request) => (await transport.respond(request)) ?? notFound())));
