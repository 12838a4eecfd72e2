/** mcp-use: its own listener, request logging off. */
import { announce, otherToolNames, toAnswer, toDescription } from './child.mjs';
import { echoSchema, otherSchema } from './schemas.mjs';

// It reports its usage over the network unless this is set; a benchmark must not.
process.env.MCP_USE_ANONYMIZED_TELEMETRY = 'false';
const { MCPServer } = await import('mcp-use');

const server = new MCPServer({ name: 'bench', version: '1.0.0', logging: { enabled: false }, skills: false });
for (const name of otherToolNames) {
  server.tool({ name, description: toDescription(name), inputSchema: otherSchema }, toAnswer);
}
server.tool({ name: 'echo', description: toDescription('echo'), inputSchema: echoSchema }, toAnswer);

const { port } = await server.listen(0, { host: '127.0.0.1' });
announce(`http://127.0.0.1:${port}/mcp`);
