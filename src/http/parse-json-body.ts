import type * as z from 'zod';
import { parseFields } from '../auth/key-fields.ts';
import { RequestError } from '../errors.ts';
import { type HttpRequest, toHeader } from './messages.ts';

/**
 * A body of JSON, of this shape.
 *
 * @throws RequestError `unsupported_media_type` (415) when it is not said to be JSON, `request_invalid` (400) with what
 *   is wrong
 */
export function parseJsonBody<Value>(schema: z.ZodType<Value>, request: HttpRequest): Value {
  const [mediaType = ''] = (toHeader(request.headers, 'content-type') ?? '').split(';');
  if (mediaType.trim().toLowerCase() !== 'application/json') {
    throw new RequestError('unsupported_media_type', 'Content-Type must be application/json');
  }
  let value: unknown;
  try {
    value = JSON.parse(request.body);
  } catch {
    throw new RequestError('request_invalid', 'The body is not valid JSON');
  }
  return parseFields(schema, value, 'The body');
}
