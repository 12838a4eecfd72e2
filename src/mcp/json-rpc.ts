/**
 * JSON-RPC 2.0 in and out: what a body holds, told apart once, and the text of replies.
 */
import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import type {
  JsonRpcId,
  JsonRpcMessage,
  JsonRpcNotification,
  JsonRpcRequest,
  JsonRpcResponse,
} from './protocol-types.ts';

/** Most messages in one batch. */
export const maxBatchMessages = 100;

/** Deepest nesting of a message. Deeper ones are refused before anything walks them. */
export const maxMessageDepth = 128;

/** A message of a body, told apart. */
export type Incoming =
  | { readonly kind: 'request'; readonly message: JsonRpcRequest }
  | { readonly kind: 'notification'; readonly message: JsonRpcNotification }
  | { readonly kind: 'response'; readonly message: JsonRpcResponse }
  /** Not JSON-RPC. `id` is the request's where it could be read. */
  | { readonly kind: 'invalid'; readonly id: JsonRpcId | undefined; readonly problem: string };

/** A message that is JSON-RPC. */
export type ValidIncoming = Exclude<Incoming, { readonly kind: 'invalid' }>;

/** A whole body: one message, or a batch. */
export type IncomingBody = Incoming | { readonly kind: 'batch'; readonly messages: readonly Incoming[] };

/**
 * Reads one body.
 *
 * @throws ProtocolError `-32700` when it is not JSON, `-32600` when it nests too deep or the batch is empty or too long
 */
export function parseBody(text: string): IncomingBody {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ProtocolError(protocolErrorCodes.parseError, 'Parse error: the body is not JSON');
  }
  // A shallow text cannot hold a deep value; the walk is for the few that could.
  if (countOpenings(text) > maxMessageDepth && isTooDeep(value, maxMessageDepth)) {
    throw new ProtocolError(
      protocolErrorCodes.invalidRequest,
      `Invalid request: nested deeper than ${maxMessageDepth} levels`,
    );
  }
  if (!Array.isArray(value)) return classify(value);
  if (value.length === 0)
    throw new ProtocolError(protocolErrorCodes.invalidRequest, 'Invalid request: the batch is empty');
  if (value.length > maxBatchMessages) {
    throw new ProtocolError(
      protocolErrorCodes.invalidRequest,
      `Invalid request: a batch holds at most ${maxBatchMessages} messages`,
    );
  }
  return { kind: 'batch', messages: value.map(classify) };
}

/** Tells one parsed value apart. */
export function classify(value: unknown): Incoming {
  if (!isRecord(value)) return { kind: 'invalid', id: undefined, problem: 'a message is a JSON object' };
  const { id, method } = value;
  const hasId = id !== undefined;
  if (hasId && !isId(id))
    return { kind: 'invalid', id: undefined, problem: 'id must be a string or an integer' };
  if (value['jsonrpc'] !== '2.0')
    return { kind: 'invalid', id: hasId ? id : undefined, problem: 'jsonrpc must be "2.0"' };
  if (method !== undefined) {
    if (typeof method !== 'string')
      return { kind: 'invalid', id: hasId ? id : undefined, problem: 'method must be a string' };
    const { params } = value;
    if (params !== undefined && !isRecord(params)) {
      return { kind: 'invalid', id: hasId ? id : undefined, problem: 'params must be an object' };
    }
    // The shape was just checked; the parsed object itself is the message.
    return hasId
      ? { kind: 'request', message: value as unknown as JsonRpcRequest }
      : { kind: 'notification', message: value as unknown as JsonRpcNotification };
  }
  // JSON-RPC 2.0, section 5: a result or an error, not both.
  const { result, error } = value;
  if (hasId && (error === undefined ? isRecord(result) : result === undefined && isErrorObject(error))) {
    return { kind: 'response', message: value as unknown as JsonRpcResponse };
  }
  return {
    kind: 'invalid',
    id: hasId ? id : undefined,
    problem: 'a message has a method, a result or an error',
  };
}

/** Whether a value is a plain JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether a value may be a request id. */
export function isId(value: unknown): value is JsonRpcId {
  return typeof value === 'string' || (typeof value === 'number' && Number.isSafeInteger(value));
}

/** A success reply; `result` is JSON text. */
export function renderResult(id: JsonRpcId, result: string): string {
  return `{"jsonrpc":"2.0","id":${renderId(id)},"result":${result}}`;
}

/** An error reply; without an id when the request's could not be read. */
export function renderError(
  id: JsonRpcId | undefined,
  error: { code: number; message: string; data?: unknown },
): string {
  const body = JSON.stringify({ code: error.code, message: error.message, data: error.data });
  return id === undefined
    ? `{"jsonrpc":"2.0","error":${body}}`
    : `{"jsonrpc":"2.0","id":${renderId(id)},"error":${body}}`;
}

/** A message of ours, as text. */
export function renderMessage(message: JsonRpcMessage): string {
  return JSON.stringify(message);
}

function renderId(id: JsonRpcId): string {
  return typeof id === 'number' ? String(id) : JSON.stringify(id);
}

function isErrorObject(value: unknown): boolean {
  return isRecord(value) && typeof value['code'] === 'number' && typeof value['message'] === 'string';
}

function countOpenings(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x7b || code === 0x5b) count += 1;
    if (count > maxMessageDepth) return count;
  }
  return count;
}

function isTooDeep(root: unknown, limit: number): boolean {
  let level: unknown[] = [root];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > limit) return true;
    level = level.flatMap((value) =>
      typeof value === 'object' && value !== null ? Object.values(value) : [],
    );
  }
  return false;
}
