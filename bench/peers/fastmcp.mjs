/** FastMCP: HTTP streaming with JSON answers, pings and roots off; stateless unless its second argument says `sessions`. */
import { createServer } from 'node:net';
import { FastMCP } from 'fastmcp';
import { announce, otherToolNames, toDescription } from './child.mjs';
import { echoSchema, otherSchema } from './schemas.mjs';

const stateless = process.argv[3] !== 'sessions';
const silent = { debug() {}, error() {}, info() {}, log() {}, warn() {} };
const server = new FastMCP({
  name: 'bench',
  version: '1.0.0',
  logger: silent,
  ping: { enabled: false },
  roots: { enabled: false },
});
const execute = ({ text }) => text;
for (const name of otherToolNames) {
  server.addTool({ name, description: toDescription(name), parameters: otherSchema, execute });
}
server.addTool({ name: 'echo', description: toDescription('echo'), parameters: echoSchema, execute });

// It takes a port number and does not say which one it got, so a free one is found first.
const probe = createServer().listen(0, '127.0.0.1', () => {
  const { port } = probe.address();
  probe.close(async () => {
    const httpStream = { port, host: '127.0.0.1', stateless, enableJsonResponse: true, cors: false };
    await server.start({ transportType: 'httpStream', httpStream });
    announce(`http://127.0.0.1:${port}/mcp`);
  });
});
