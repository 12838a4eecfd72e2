import { randomBytes } from 'node:crypto';
import { isId } from './json-rpc.ts';
import type { JsonRpcId } from './protocol-types.ts';

/** The stream of a call: which instance answers it, and to which requests. */
export interface CallStreamName {
  readonly instanceId: string;
  /** Of the requests that the stream answers: one, or those of a batch. */
  readonly ids: readonly JsonRpcId[];
}

const randomByteCount = 9;
/** Longest part of an id that tells the requests; what is longer is left out, and the stream tells none. */
const maxIdsLength = 256;

/**
 * A stream id that says what is needed to end the stream for an instance that is gone. Unique in the session.
 * Clients see it in event ids and have no use for it.
 */
export function renderCallStreamId({ instanceId, ids }: CallStreamName): string {
  const told = Buffer.from(JSON.stringify(ids)).toString('base64url');
  const random = randomBytes(randomByteCount).toString('base64url');
  return `${instanceId}.${random}.${told.length > maxIdsLength ? '' : told}`;
}

/** @returns `undefined` for a stream that is no call's */
export function parseCallStreamId(streamId: string): CallStreamName | undefined {
  const [instanceId, random, told, ...rest] = streamId.split('.');
  if (!instanceId || !random || told === undefined || rest.length > 0) return undefined;
  return { instanceId, ids: parseIds(told) };
}

function parseIds(told: string): readonly JsonRpcId[] {
  try {
    const ids: unknown = JSON.parse(Buffer.from(told, 'base64url').toString('utf8'));
    return Array.isArray(ids) && ids.every(isId) ? ids : [];
  } catch {
    return [];
  }
}
