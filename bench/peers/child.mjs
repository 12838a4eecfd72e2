/**
 * The part that every benchmarked process shares: it says where it listens and answers the runner's questions
 * about its own CPU time and memory. Talks only over the IPC channel that the runner opened.
 */

/** How many tools the runner asked this process to serve. */
export const toolCount = Number(process.argv[2] ?? '1');

/** The description each tool carries, of a length that authors write. */
export function toDescription(name) {
  return `${name}: returns the text that it was given, unchanged. Use it to check that a connection works.`;
}

/** Names of the tools beside `echo`, which is registered last. */
export const otherToolNames = Array.from({ length: toolCount - 1 }, (_, index) => `tool_${index + 1}`);

/** The answer of every tool, in the shape of `CallToolResult`. */
export function toAnswer({ text }) {
  return { content: [{ type: 'text', text }] };
}

/** Tells the runner where to send calls, and answers it until it goes away. */
export function announce(url) {
  process.on('message', (message) => {
    if (message?.kind !== 'measure') return;
    if (message.collect) globalThis.gc?.();
    process.send({ kind: 'measured', cpu: process.cpuUsage(), memory: process.memoryUsage() });
  });
  process.on('disconnect', () => process.exit(0));
  process.send({ kind: 'ready', url });
}

/** Starts a `node:http` server on a free loopback port. */
export function listen(server) {
  server.listen(0, '127.0.0.1', () => announce(`http://127.0.0.1:${server.address().port}/mcp`));
}
