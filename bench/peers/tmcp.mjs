/** tmcp: one server for the whole process; it answers over SSE, having no JSON mode. Sessions in memory or on Redis. */
import { createServer } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { ZodJsonSchemaAdapter } from '@tmcp/adapter-zod';
import { RedisInfoSessionManager, RedisStreamSessionManager } from '@tmcp/session-manager-redis';
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

const redisUrl = process.argv.includes('redis') ? process.env.REDIS_URL : undefined;
const sessions = redisUrl && {
  sessionManager: {
    streams: new RedisStreamSessionManager(redisUrl),
    info: new RedisInfoSessionManager(redisUrl),
  },
};
const transport = new HttpTransport(server, { path: '/mcp', allowedOrigins: [], ...sessions });
const notFound = () => new Response(null, { status: 404 });

listen(createServer(getRequestListener(async (request) => (await transport.respond(request)) ?? notFound())));
