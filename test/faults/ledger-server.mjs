/** A server whose tools leave a line in a file for each time that they run, so that a test can count executions. */
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { defineResource, defineServer, defineTool } from 'mooring';
import { z } from 'zod';

/** An answer that was lost on its way is told to the caller after this time. */
const answerWithinMs = 5000;

/** One append is one write: lines of several processes do not mix, and each is there before the tool answers. */
function note(file, call) {
  appendFileSync(file, `${call}\n`);
}

export const server = defineServer({
  name: 'ledger',
  version: '1.0.0',
  tools: [
    defineTool({
      name: 'record',
      description: 'Notes the call, works for a while, and answers with the call.',
      input: z.object({ file: z.string(), call: z.string(), forMs: z.int().default(0) }),
      async handler({ file, call, forMs }) {
        note(file, call);
        if (forMs > 0) await sleep(forMs);
        return call;
      },
    }),
    defineTool({
      name: 'stream',
      description: 'Notes the call, reports progress from 1 to `to`, and answers with the call.',
      input: z.object({ file: z.string(), call: z.string(), to: z.int(), everyMs: z.int() }),
      async handler({ file, call, to, everyMs }, context) {
        note(file, call);
        for (let step = 1; step <= to; step += 1) {
          context.progress(step, to);
          await sleep(everyMs);
        }
        return call;
      },
    }),
    defineTool({
      name: 'ask',
      description: 'Asks for a name, notes the call once it has it, and answers with the call.',
      input: z.object({ file: z.string(), call: z.string() }),
      async handler({ file, call }, context) {
        const answer = await context.elicit('Who?', z.object({ name: z.string() }), {
          timeoutMs: answerWithinMs,
        });
        if (answer.action !== 'accept') return `not ${call}`;
        note(file, call);
        return call;
      },
    }),
    defineTool({
      name: 'touch',
      description: 'Changes the thing.',
      async handler(_input, context) {
        await context.resourceUpdated('ledger://thing');
        return 'touched';
      },
    }),
  ],
  resources: [defineResource({ uri: 'ledger://thing', name: 'thing', read: () => 'a thing' })],
});
