import { RequestError } from '../errors.ts';
import type { PagePosition } from './api-key-store.ts';

/** A place in a list as one opaque string, for the caller to hand back. */
export function toCursor(position: PagePosition): string {
  return Buffer.from(`${position.createdAt}/${position.id}`).toString('base64url');
}

/**
 * The place a cursor stands for.
 *
 * @throws RequestError `request_invalid` (400): not one of ours
 */
export function parseCursor(cursor: string): PagePosition {
  const match = /^(\d{1,15})\/([A-Za-z0-9._:-]{1,128})$/.exec(
    Buffer.from(cursor, 'base64url').toString('latin1'),
  );
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new RequestError(
      'request_invalid',
      'The cursor is not valid: use the nextCursor of an earlier page, unchanged',
    );
  }
  return { createdAt: Number(match[1]), id: match[2] };
}
