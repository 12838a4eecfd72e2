import { ProtocolError, protocolErrorCodes } from '../errors.ts';

/** Where a list goes on: which part of it, and that part's own cursor. */
export interface ListPosition {
  readonly part: number;
  readonly inner: string | undefined;
}

/**
 * A cursor that clients treat as opaque.
 *
 * @param list what is listed, so that another list does not take the cursor for its own
 */
export function renderCursor(list: string, { part, inner }: ListPosition): string {
  const value = inner === undefined ? [list, part] : [list, part, inner];
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/**
 * @param list as given to `renderCursor`
 * @param cursor `params.cursor`; `undefined` is the beginning
 * @param parts how many parts the list has
 * @throws ProtocolError `-32602` for one we did not make. MCP 2026-07-28, Pagination, Error Handling
 */
export function parseCursor(list: string, cursor: unknown, parts: number): ListPosition {
  if (cursor === undefined) return { part: 0, inner: undefined };
  if (typeof cursor === 'string') {
    try {
      const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
      if (Array.isArray(value) && value.length <= 3 && value[0] === list) {
        const [, part, inner] = value as [unknown, unknown, unknown];
        const isInner = inner === undefined || typeof inner === 'string';
        if (typeof part === 'number' && Number.isInteger(part) && part >= 0 && part < parts && isInner)
          return { part, inner };
      }
    } catch {
      // Not one of ours; told below.
    }
  }
  throw new ProtocolError(
    protocolErrorCodes.invalidParams,
    'Invalid params: unknown cursor; list again from the beginning',
  );
}
