import type { AnyTool } from 'mooring';
import { defineTool } from 'mooring';
import { z } from 'zod';
import { toSummary } from '../note.ts';
import type { Notebooks } from '../notebook.ts';
import { noteScopes } from '../note-scopes.ts';
import { summarySchema, tagsSchema, textSchema, titleSchema, toSummaryOutput } from '../schemas.ts';

/** `add_note`: writes a new note. */
export function addNoteTool(notebooks: Notebooks): AnyTool {
  return defineTool({
    name: 'add_note',
    title: 'Add a note',
    description: 'Writes a new note and returns its id. To change a note that exists, use update_note.',
    input: z.strictObject({
      title: titleSchema.describe('One line that says what the note is about'),
      text: textSchema.default('').describe('Markdown or plain text'),
      tags: tagsSchema
        .default([])
        .describe('Lower-case words to find the note by; list_tags shows those in use'),
    }),
    output: summarySchema,
    scopes: [noteScopes.write],
    annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
    async handler(draft, context) {
      const note = await notebooks.of(context.principal.activeTenantId).add(draft);
      await context.listChanged('resources');
      return toSummaryOutput(toSummary(note));
    },
  });
}
