import type { JSONRPCResponse } from '@modelcontextprotocol/server';
import { ProtocolError } from '../errors.ts';

/** Most pages of a server's tool list that are read. */
export const maxToolPages = 100;

/** The result of an answer. @throws ProtocolError with the code, text and data that the server gave */
export function toResult(answer: JSONRPCResponse): Readonly<Record<string, unknown>> {
  if ('error' in answer) throw new ProtocolError(answer.error.code, answer.error.message, answer.error.data);
  return answer.result;
}

/** Every page of a tool list, up to `maxToolPages`. */
export async function listAllTools(
  list: (params: Record<string, unknown>) => Promise<JSONRPCResponse>,
): Promise<readonly unknown[]> {
  const tools: unknown[] = [];
  let params: Record<string, unknown> = {};
  for (let page = 0; page < maxToolPages; page += 1) {
    const { tools: found, nextCursor } = toResult(await list(params));
    if (Array.isArray(found)) tools.push(...(found as unknown[]));
    if (typeof nextCursor !== 'string') break;
    params = { cursor: nextCursor };
  }
  return tools;
}
