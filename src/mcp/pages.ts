import { ProtocolError, protocolErrorCodes } from '../errors.ts';

/** Where a list goes on: which part of it, and that part's own cursor. */
export interface ListPosition {
  readonly part: number;
  readonly inner: string | undefined;
}

/** A cursor that clients treat as opaque. */
export function renderCursor({ part, inner }: ListPosition): string {
  return Buffer.from(JSON.stringify(inner === undefined ? [part] : [part, inner])).toString('base64url');
}

/**
 * @param cursor `params.cursor`; `undefined` is the beginning
 * @param parts how many parts the list has
 * @throws ProtocolError `-32602` for one we did not make. MCP 2026-07-28, Pagination, Error Handling
 */
export function parseCursor(cursor: unknown, parts: number): ListPosition {
  if (cursor === undefined) return { part: 0, inner: undefined };
  if (typeof cursor === 'string') {
    try {
      const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
      if (Array.isArray(value) && value.length <= 2) {
        const [part, inner] = value as [unknown, unknown];
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
