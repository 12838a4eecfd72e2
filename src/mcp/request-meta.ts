import { isId, isRecord } from './json-rpc.ts';
import type { JsonRpcId } from './protocol-types.ts';

/** The token under which a client wants to hear of progress. MCP 2026-07-28, Progress. */
export function progressTokenOf(params: Readonly<Record<string, unknown>>): JsonRpcId | undefined {
  const meta = params['_meta'];
  const token = isRecord(meta) ? meta['progressToken'] : undefined;
  return isId(token) ? token : undefined;
}
