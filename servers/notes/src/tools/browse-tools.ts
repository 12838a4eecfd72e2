import type { AnyTool } from 'mooring';
import { defineTool, ToolError } from 'mooring';
import { z } from 'zod';
import { parseCursor, toCursor } from '../cursor.ts';
import { maxCursorLength, maxQueryLength } from '../limits.ts';
import type { Notebooks } from '../notebook.ts';
import { limitSchema, summarySchema, tagSchema, toSummaryOutput } from '../schemas.ts';

/** `list_notes`: all notes or those with a tag, a page at a time. */
export function listNotesTool(notebooks: Notebooks): AnyTool {
  return defineTool({
    name: 'list_notes',
    title: 'List notes',
    description:
      'Lists notes without their texts, newest first, a page at a time. To find notes by words, use search_notes.',
    input: z.strictObject({
      tag: tagSchema.optional().describe('Only notes with this tag'),
      cursor: z.string().max(maxCursorLength).optional().describe('nextCursor of the page before'),
      limit: limitSchema.describe('Most notes on the page'),
    }),
    output: z.object({
      notes: z.array(summarySchema),
      total: z.int().describe('Notes on all pages together'),
      nextCursor: z.string().optional().describe('Give it as cursor for the next page; absent on the last'),
    }),
    annotations: { readOnlyHint: true, openWorldHint: false },
    async handler({ tag, cursor, limit }, context) {
      const after = cursor === undefined ? undefined : parseCursor(cursor);
      if (cursor !== undefined && after === undefined) {
        throw new ToolError(
          'The cursor is not one that list_notes gave. Leave it out to start from the first page.',
        );
      }
      const notebook = notebooks.of(context.principal.activeTenantId);
      const { notes, total, hasMore } = await notebook.list({ tag, after, limit });
      const last = hasMore ? notes.at(-1) : undefined;
      return { notes: notes.map(toSummaryOutput), total, ...(last && { nextCursor: toCursor(last.id) }) };
    },
  });
}

/** `search_notes`: full-text search. */
export function searchNotesTool(notebooks: Notebooks): AnyTool {
  return defineTool({
    name: 'search_notes',
    title: 'Search notes',
    description:
      'Finds the notes that contain every word of the query in title, text or tags, best match first. Case and ' +
      'accents do not matter, and the last word may be the beginning of a word.',
    input: z.strictObject({
      query: z.string().min(1).max(maxQueryLength).describe('Words that must all be in the note'),
      tag: tagSchema.optional().describe('Only notes with this tag'),
      limit: limitSchema.describe('Most notes to return'),
    }),
    output: z.object({
      notes: z.array(
        summarySchema.extend({ snippet: z.string().describe('The text around the first match') }),
      ),
      total: z.int().describe('Notes found, including those beyond limit'),
    }),
    annotations: { readOnlyHint: true, openWorldHint: false },
    async handler({ query, tag, limit }, context) {
      const notebook = notebooks.of(context.principal.activeTenantId);
      const { hits, total } = await notebook.search(query, { tag, limit });
      return { notes: hits.map(({ note, snippet }) => ({ ...toSummaryOutput(note), snippet })), total };
    },
  });
}

/** `list_tags`: the tags in use. */
export function listTagsTool(notebooks: Notebooks): AnyTool {
  return defineTool({
    name: 'list_tags',
    title: 'List tags',
    description: 'Lists every tag in use with the number of its notes, the most used first.',
    output: z.object({ tags: z.array(z.object({ tag: z.string(), count: z.int() })).readonly() }),
    annotations: { readOnlyHint: true, openWorldHint: false },
    async handler(_input, context) {
      return { tags: await notebooks.of(context.principal.activeTenantId).tags() };
    },
  });
}
