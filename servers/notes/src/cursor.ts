import { maxCursorLength } from './limits.ts';
import { isNoteId } from './note-id.ts';

const prefix = 'after:';

/** An opaque mark of where a page of notes ended. It stays right when notes come and go between pages. */
export function toCursor(lastId: string): string {
  return Buffer.from(`${prefix}${lastId}`).toString('base64url');
}

/** The id of the last note of the page before; `undefined` when this is no cursor of ours. */
export function parseCursor(cursor: string): string | undefined {
  if (cursor.length > maxCursorLength) return undefined;
  const text = Buffer.from(cursor, 'base64url').toString();
  const id = text.slice(prefix.length);
  return text.startsWith(prefix) && isNoteId(id) && toCursor(id) === cursor ? id : undefined;
}
