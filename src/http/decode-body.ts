import { isAscii, isUtf8 } from 'node:buffer';
import { RequestError } from '../errors.ts';

/**
 * The text of a body.
 *
 * @throws RequestError `request_invalid`: not UTF-8 (JSON between systems MUST be: RFC 8259, section 8.1)
 */
export function decodeBody(bytes: Buffer): string {
  // Most bodies are ASCII, and reading those as Latin-1 spares the decoder.
  if (isAscii(bytes)) return bytes.toString('latin1');
  if (!isUtf8(bytes)) throw new RequestError('request_invalid', 'The request body is not valid UTF-8.');
  return bytes.toString('utf8');
}
