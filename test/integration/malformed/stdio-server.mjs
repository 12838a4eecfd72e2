/** What the stdio part of the malformed-input suite starts; written as authors write one. */
import { setTimeout as sleep } from 'node:timers/promises';
import { defineResource, defineServer, defineTool } from 'mooring';
import { z } from 'zod';

// `mooring start` reads a module's default export.
// oxlint-disable-next-line import/no-default-export
export default defineServer({
  name: 'malformed-stdio',
  version: '1.0.0',
  tools: [
    defineTool({
      name: 'echo',
      input: z.object({ text: z.string() }),
      handler: ({ text }) => text.slice(0, 1000),
    }),
    defineTool({
      name: 'wait',
      input: z.object({ ms: z.int().max(1000) }),
      async handler({ ms }) {
        await sleep(ms);
        return 'waited';
      },
    }),
    defineTool({ name: 'peak_memory', handler: () => String(process.resourceUsage().maxRSS * 1024) }),
  ],
  resources: [defineResource({ uri: 'thing://fixed', name: 'fixed', read: () => 'fixed' })],
});
