import type { SessionStore } from '../sessions/session-store.ts';
import type { SessionState } from './handler-context.ts';
import { ToolError } from './tool-result.ts';

/** How often a change is tried again when other writers are first. */
const maxAttempts = 20;

/** The application values of one session. See `SessionState`. */
export function createSessionState(store: SessionStore, id: string): SessionState {
  const write = async (
    key: string,
    change: (value: string | undefined) => string | undefined,
  ): Promise<string | undefined> => {
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const current = await store.readValue(id, key);
      const value = change(current?.value);
      if (await store.writeValue(id, key, value, current?.version ?? 0)) return value;
    }
    throw new ToolError('The session has ended, or others keep changing the same value; try again');
  };
  return {
    id,
    get: async <Value>(key: string): Promise<Value | undefined> => {
      const found = await store.readValue(id, key);
      return found === undefined ? undefined : (JSON.parse(found.value) as Value);
    },
    set: async (key, value) => {
      await write(key, () => JSON.stringify(value ?? null));
    },
    delete: async (key) => {
      await write(key, () => undefined);
    },
    update: async <Value>(key: string, change: (value: Value | undefined) => Value): Promise<Value> => {
      const text = await write(key, (current) =>
        JSON.stringify(change(current === undefined ? undefined : (JSON.parse(current) as Value)) ?? null),
      );
      return JSON.parse(text ?? 'null') as Value;
    },
  };
}
