import type { AnyTool, HandlerContext } from 'mooring';
import { defineTool, ToolError } from 'mooring';
import { z } from 'zod';
import type { Note } from '../note.ts';
import { toNoteUri } from '../note.ts';
import type { Notebooks } from '../notebook.ts';
import { noteScopes } from '../note-scopes.ts';
import { idSchema } from '../schemas.ts';

type Answer = 'accept' | 'decline' | 'cancel';

const outcomes = { accept: 'deleted', decline: 'declined', cancel: 'cancelled' } as const;

/** `delete_note`: deletes a note once its user has agreed. */
export function deleteNoteTool(notebooks: Notebooks): AnyTool {
  return defineTool({
    name: 'delete_note',
    title: 'Delete a note',
    description:
      'Deletes a note for good. The user is asked first, and the note stays if they say no. Leave confirm out: it ' +
      'skips that question, for clients that cannot ask. Set it to true only after the user has agreed to delete ' +
      'this very note.',
    input: z.strictObject({
      id: idSchema,
      confirm: z.boolean().default(false).describe('true only after the user has agreed; skips the question'),
    }),
    output: z.object({
      id: z.string(),
      title: z.string(),
      outcome: z
        .enum(outcomes)
        .describe('declined and cancelled: the user did not agree, and the note is still there'),
    }),
    scopes: [noteScopes.write],
    annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
    async handler({ id, confirm }, context) {
      const notebook = notebooks.of(context.principal.activeTenantId);
      const stored = await notebook.read(id);
      const { note } = stored;
      const answer = confirm ? 'accept' : await askUser(note, context);
      if (answer === 'accept') {
        if (!(await notebook.remove(stored))) {
          throw new ToolError(
            `Note ${note.id} was changed meanwhile, so it was not deleted. Read it again first.`,
          );
        }
        await context.resourceUpdated(toNoteUri(note.id));
        await context.listChanged('resources');
      }
      return { id: note.id, title: note.title, outcome: outcomes[answer] };
    },
  });
}

/** Accepting is the answer, so the form has no fields. A note changed since it was asked about is asked about anew. */
async function askUser(note: Note, context: HandlerContext): Promise<Answer> {
  if (!canAsk(context)) {
    throw new ToolError(
      `Nothing was deleted: this client cannot ask its user. Ask the user yourself whether to delete the note ` +
        `"${note.title}"; if they agree, call delete_note again with confirm: true.`,
    );
  }
  const answer = await context.elicit(`Delete the note "${note.title}" for good?`, z.object({}), {
    key: `delete ${note.id} version ${note.version}`,
  });
  return answer.action;
}

/** Before modes were told apart, and when none is named, `elicitation: {}` means forms. */
function canAsk({ clientCapabilities: { elicitation } }: HandlerContext): boolean {
  return elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined);
}
