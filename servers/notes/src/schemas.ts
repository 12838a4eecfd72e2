/** The shapes that several tools take or give. Their descriptions are for the model. */
import { z } from 'zod';
import {
  defaultPageSize,
  maxPageSize,
  maxTagLength,
  maxTags,
  maxTextLength,
  maxTitleLength,
} from './limits.ts';
import type { NoteSummary } from './note.ts';
import { toNoteUri } from './note.ts';

/** A note's id. What is no id at all is answered as a note that does not exist. */
export const idSchema = z.string().max(100).describe('Id of the note, as the other tools give it');

/** A title; `Notebook` makes it one line. */
export const titleSchema = z.string().trim().min(1).max(maxTitleLength);

/** A note's text. */
export const textSchema = z.string().max(maxTextLength);

/** One tag, in the one form in which it is stored. */
export const tagSchema = z.string().normalize().trim().toLowerCase().min(1).max(maxTagLength);

/** All tags of a note. */
export const tagsSchema = z.array(tagSchema).max(maxTags);

/** How many notes to give at once. */
export const limitSchema = z.int().min(1).max(maxPageSize).default(defaultPageSize);

/** A note without its text. */
export const summarySchema = z.object({
  id: z.string(),
  uri: z.string().describe('Resource URI of the note'),
  title: z.string(),
  tags: z.array(z.string()).readonly(),
  createdAt: z.string().describe('ISO 8601, UTC'),
  updatedAt: z.string().describe('ISO 8601, UTC'),
  version: z.int().describe('1 at first; one more with every change'),
});

/** A note with its text. */
export const noteSchema = summarySchema.extend({ text: z.string() });

/** A summary as the tools give it: with the note's URI. */
export function toSummaryOutput(summary: NoteSummary): z.infer<typeof summarySchema> {
  return { uri: toNoteUri(summary.id), ...summary };
}
