/**
 * The "everything" server of the official conformance suite, written with `defineServer`.
 *
 * Names, texts and keys are the suite's own; it looks for exactly these. It serves what the suite asks of a server
 * in the requirement sets 2025-11-25 and 2026-07-28, the extensions for tasks and skills aside.
 */
import { defineServer } from '../../../src/index.ts';
import type { ServerDefinition } from '../../../src/mcp/server-definition.ts';
import { contentTools } from './content-tools.ts';
import { diagnosticTools } from './diagnostic-tools.ts';
import { prompts } from './prompts.ts';
import { questionTools } from './question-tools.ts';
import { resources, resourceTemplates } from './resources.ts';

/** The fixture as a definition. */
export const everything: ServerDefinition = defineServer({
  name: 'mooring-everything',
  version: '1.0.0',
  title: 'Everything',
  description: 'Every feature of the protocol, for the conformance suite',
  tools: [...contentTools, ...questionTools, ...diagnosticTools],
  resources,
  resourceTemplates,
  prompts,
  cache: { ttlMs: 300_000, scope: 'public' },
});
