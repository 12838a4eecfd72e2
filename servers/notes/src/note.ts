import { z } from 'zod';

/** A note as it is stored: one JSON object. */
export interface Note {
  /** See `createNoteId`. */
  readonly id: string;
  readonly title: string;
  /** Markdown or plain text. */
  readonly text: string;
  /** Lower case, no doubles, in the order given. */
  readonly tags: readonly string[];
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** ISO 8601, UTC. */
  readonly updatedAt: string;
  /** 1 when added, one more with every change. */
  readonly version: number;
}

/** A note without its text: what lists show. */
export type NoteSummary = Omit<Note, 'text'>;

const noteSchema = z.object({
  id: z.string(),
  title: z.string(),
  text: z.string(),
  tags: z.array(z.string()),
  createdAt: z.string(),
  updatedAt: z.string(),
  version: z.int().positive(),
});

/** @throws SyntaxError or ZodError when the text is not a stored note */
export function parseNote(json: string): Note {
  return noteSchema.parse(JSON.parse(json));
}

/** The note without its text. */
export function toSummary({ text: _text, ...summary }: Note): NoteSummary {
  return summary;
}

/** The note's resource URI. */
export function toNoteUri(id: string): string {
  return `notes://${id}`;
}
