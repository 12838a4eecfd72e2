import type { Handles } from './handler-context.ts';
import type { SealedBox } from './sealed-box.ts';
import { ToolError } from './tool-result.ts';

const purpose = 'handle';
const defaultTtlSeconds = 3600;
const maxTtlSeconds = 86_400;

/** Handles of one principal. See `Handles`. */
export function createHandles(box: SealedBox, principalKey: string): Handles {
  return {
    seal: (value, { ttlSeconds = defaultTtlSeconds } = {}) => {
      if (!(ttlSeconds > 0 && ttlSeconds <= maxTtlSeconds)) {
        throw new TypeError(`ttlSeconds must be above 0 and at most ${maxTtlSeconds}, got ${ttlSeconds}`);
      }
      return box.seal(JSON.stringify(value ?? null), { purpose, boundTo: principalKey, ttlSeconds });
    },
    open: <Value>(handle: string): Value => {
      const text = box.open(handle, { purpose, boundTo: principalKey });
      if (text === undefined)
        throw new ToolError('This handle is not valid any more; start over to get a new one');
      // Only `seal` above makes texts of this purpose; what type went in is the author's to know.
      return JSON.parse(text) as Value;
    },
  };
}
