/**
 * Result objects as JSON text, whole for an era. The modern era's own fields are the same for every result of a
 * server, so they are rendered once and spliced in front.
 */
import { metaKeys } from './protocol-versions.ts';
import type { Implementation } from './protocol-types.ts';
import type { CacheHint } from './server-definition.ts';

/** Renders results of one server. */
export interface ResultText {
  /** @param result an object; a `_meta` of its own is kept beside the server's */
  complete(era: 'modern' | 'legacy', result: Readonly<Record<string, unknown>>, cache?: CacheHint): string;
  inputRequired(result: Readonly<Record<string, unknown>>): string;
}

/** @param serverInfo goes into `_meta` of every modern result. MCP 2026-07-28, Base Protocol, Per-response fields */
export function createResultText(serverInfo: Implementation): ResultText {
  const meta = { [metaKeys.serverInfo]: serverInfo };
  const completeHead = `{"resultType":"complete","_meta":${JSON.stringify(meta)}`;
  const splice = (head: string, text: string): string =>
    text === '{}' ? `${head}}` : `${head},${text.slice(1)}`;
  return {
    complete: (era, result, cache) => {
      if (era === 'legacy') return JSON.stringify(result);
      if (result['_meta'] !== undefined) {
        const { _meta: own, ...rest } = result;
        return JSON.stringify({
          resultType: 'complete',
          _meta: { ...(own as object), ...meta },
          ...toCacheFields(cache),
          ...rest,
        });
      }
      const text = JSON.stringify(result);
      return cache === undefined
        ? splice(completeHead, text)
        : splice(completeHead + renderCache(cache), text);
    },
    inputRequired: (result) => JSON.stringify({ resultType: 'input_required', _meta: meta, ...result }),
  };
}

/** @see MCP 2026-07-28, Caching: required on lists, reads and discovery */
export const noCache: CacheHint = { ttlMs: 0, scope: 'private' };

function toCacheFields(cache: CacheHint | undefined): object {
  return cache === undefined ? {} : { ttlMs: cache.ttlMs ?? 0, cacheScope: cache.scope ?? 'private' };
}

function renderCache(cache: CacheHint): string {
  return `,"ttlMs":${cache.ttlMs ?? 0},"cacheScope":"${cache.scope ?? 'private'}"`;
}
