/** Input schemas, built once per process: building them per request is the costliest mistake, and not the peers'. */
import { z } from 'zod';

export const echoSchema = z.object({ text: z.string() });

/** What the tools beside `echo` take: the mixture of a plain real tool. */
export const otherSchema = z.object({
  text: z.string().describe('What to return'),
  count: z.number().int().min(1).max(10).optional().describe('How often to return it'),
  tags: z.array(z.string()).optional().describe('Words to attach'),
});
