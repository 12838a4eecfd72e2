import type { AnyTool } from 'mooring';
import { defineTool, ToolError } from 'mooring';
import { z } from 'zod';
import { toNoteUri, toSummary } from '../note.ts';
import type { Notebooks } from '../notebook.ts';
import { noteScopes } from '../note-scopes.ts';
import { idSchema, summarySchema, tagsSchema, textSchema, titleSchema, toSummaryOutput } from '../schemas.ts';

/** `update_note`: changes the parts of a note that are given. */
export function updateNoteTool(notebooks: Notebooks): AnyTool {
  return defineTool({
    name: 'update_note',
    title: 'Change a note',
    description:
      'Changes the parts of a note that are given and leaves the rest. To add to the text, use append: it never ' +
      'overwrites what someone else writes at the same time. To replace the text, give the version you read as ' +
      'expectedVersion: if the note was changed since, nothing happens and you are told.',
    input: z.strictObject({
      id: idSchema,
      title: titleSchema.optional().describe('Replaces the title'),
      text: textSchema.optional().describe('Replaces the whole text'),
      append: textSchema.min(1).optional().describe('Added at the end of the text, on a new line'),
      tags: tagsSchema.optional().describe('Replaces all tags'),
      expectedVersion: z.int().min(1).optional().describe('Change the note only if this is its version'),
    }),
    output: summarySchema,
    scopes: [noteScopes.write],
    annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
    async handler({ id, expectedVersion, ...change }, context) {
      if (Object.values(change).every((part) => part === undefined)) {
        throw new ToolError('Nothing to change: give a title, text, append or tags.');
      }
      const note = await notebooks.of(context.principal.activeTenantId).update(id, change, expectedVersion);
      await context.resourceUpdated(toNoteUri(note.id));
      // The list of resources shows titles and when a note last changed.
      await context.listChanged('resources');
      return toSummaryOutput(toSummary(note));
    },
  });
}
