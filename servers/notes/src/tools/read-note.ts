import type { AnyTool } from 'mooring';
import { defineTool } from 'mooring';
import { z } from 'zod';
import { toNoteUri } from '../note.ts';
import type { Notebooks } from '../notebook.ts';
import { idSchema, noteSchema } from '../schemas.ts';

/** `read_note`: one note with its text. */
export function readNoteTool(notebooks: Notebooks): AnyTool {
  return defineTool({
    name: 'read_note',
    title: 'Read a note',
    description: 'Returns a note with its full text and its version.',
    input: z.strictObject({ id: idSchema }),
    output: noteSchema,
    annotations: { readOnlyHint: true, openWorldHint: false },
    async handler({ id }, context) {
      const { note } = await notebooks.of(context.principal.activeTenantId).read(id);
      return { uri: toNoteUri(note.id), ...note };
    },
  });
}
