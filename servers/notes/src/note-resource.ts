import type { ResourceTemplateDefinition } from 'mooring';
import { defineResourceTemplate, ProtocolError } from 'mooring';
import { parseCursor, toCursor } from './cursor.ts';
import { maxNotesPerTenant, maxPageSize } from './limits.ts';
import type { Note } from './note.ts';
import { toNoteUri } from './note.ts';
import type { Notebooks } from './notebook.ts';

const mimeType = 'text/markdown';
/** Most completions that MCP lets one answer carry. */
const maxCompletions = 100;
const invalidParams = -32602;

/** `notes://{id}`: every note as a Markdown document that clients can list, read and subscribe to. */
export function noteResource(notebooks: Notebooks): ResourceTemplateDefinition {
  return defineResourceTemplate({
    name: 'note',
    title: 'Note',
    description: 'One note as Markdown: its title as a heading, then its text.',
    uriTemplate: toNoteUri('{id}'),
    mimeType,
    async list(context, cursor) {
      const after = cursor === undefined ? undefined : parseCursor(cursor);
      if (cursor !== undefined && after === undefined) {
        throw new ProtocolError(invalidParams, 'The cursor is not one that resources/list gave.');
      }
      const notebook = notebooks.of(context.principal.activeTenantId);
      const { notes, hasMore } = await notebook.list({ after, limit: maxPageSize });
      const last = hasMore ? notes.at(-1) : undefined;
      const resources = notes.map(({ id, title, tags, updatedAt }) => ({
        uri: toNoteUri(id),
        name: id,
        title,
        mimeType,
        ...(tags.length > 0 && { description: `Tags: ${tags.join(', ')}` }),
        annotations: { lastModified: updatedAt },
      }));
      return { resources, ...(last && { nextCursor: toCursor(last.id) }) };
    },
    complete: {
      async id(typed, context) {
        const notebook = notebooks.of(context.principal.activeTenantId);
        const { notes } = await notebook.list({ limit: maxNotesPerTenant });
        const ids = notes.map(({ id }) => id).filter((id) => id.startsWith(typed.toLowerCase()));
        return {
          values: ids.slice(0, maxCompletions),
          total: ids.length,
          hasMore: ids.length > maxCompletions,
        };
      },
    },
    async read({ id = '' }, context) {
      const stored = await notebooks.of(context.principal.activeTenantId).find(id);
      return stored && toMarkdown(stored.note);
    },
  });
}

/** A note as people read it. */
export function toMarkdown({ title, text }: Note): string {
  return `# ${title}\n\n${text}`;
}
