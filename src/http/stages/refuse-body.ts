import { RequestError } from '../../errors.ts';
import { toHeader } from '../messages.ts';
import type { Stage } from '../stage.ts';

/** Refuses, before it is read, a body that is declared too large or coded in a way that is not read here. */
export const refuseBody: Stage = (exchange) => {
  const { headers, route } = exchange;
  const encoding = toHeader(headers, 'content-encoding');
  if (encoding !== undefined && encoding !== '' && encoding.toLowerCase() !== 'identity') {
    // RFC 9110, section 15.5.16: `Accept-Encoding` tells what would be read.
    throw new RequestError('unsupported_media_type', 'Send the body without Content-Encoding.', {
      headers: { 'Accept-Encoding': 'identity' },
    });
  }
  const declared = toHeader(headers, 'content-length');
  const maxBodyBytes = route?.maxBodyBytes ?? 0;
  if (declared !== undefined && Number(declared) > maxBodyBytes) throw toBodyTooLarge(maxBodyBytes);
  return undefined;
};

/** What is told when a body passes its route's limit, declared or counted. */
export function toBodyTooLarge(maxBodyBytes: number): RequestError {
  const message =
    maxBodyBytes === 0
      ? 'This route takes no request body.'
      : `The request body is larger than ${maxBodyBytes} bytes.`;
  return new RequestError('body_too_large', message);
}
