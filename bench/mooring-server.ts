/**
 * Mooring as it is served to customers, but for its data: every check, the log, the limits and the SQLite key store
 * are on. Follows the same protocol with the runner as `peers/child.mjs`.
 */
import { randomBytes } from 'node:crypto';
import { createHost, createLogger, defineServer, defineTool, loadConfig } from 'mooring';
import { z } from 'zod';

const [tools = '1', dataFolder = '.mooring'] = process.argv.slice(2);

const definition = defineServer({
  name: 'bench',
  version: '1.0.0',
  tools: [...Array.from({ length: Number(tools) - 1 }, (_, index) => toOtherTool(index + 1)), toEcho()],
});

try {
  const { config, secrets } = await loadConfig({
    environment: {
      PORT: '0',
      DATA_DIR: dataFolder,
      NODE_ENV: 'production',
      ENCRYPTION_KEY: randomBytes(32).toString('hex'),
      // One key opens every session of the benchmark.
      MAX_SESSIONS_PER_PRINCIPAL: '20000',
    },
    workingDir: dataFolder,
  });
  const logger = createLogger({ level: config.log.logLevel });
  const host = await createHost({ server: definition, config, secrets, logger });
  const { url } = await host.listen();
  process.on('message', answer);
  process.on('disconnect', () => process.exit(0));
  process.send?.({ kind: 'ready', url, token: host.firstRun?.key.secret });
} catch (error) {
  process.send?.({
    kind: 'failed',
    reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
}

function answer(message: unknown): void {
  const isAsked =
    typeof message === 'object' && message !== null && 'kind' in message && message.kind === 'measure';
  if (!isAsked) return;
  if ('collect' in message && message.collect === true) globalThis.gc?.();
  process.send?.({ kind: 'measured', cpu: process.cpuUsage(), memory: process.memoryUsage() });
}

function toDescription(name: string): string {
  return `${name}: returns the text that it was given, unchanged. Use it to check that a connection works.`;
}

function toEcho() {
  return defineTool({
    name: 'echo',
    description: toDescription('echo'),
    input: z.object({ text: z.string() }),
    handler: ({ text }) => text,
  });
}

function toOtherTool(index: number) {
  const name = `tool_${index}`;
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
