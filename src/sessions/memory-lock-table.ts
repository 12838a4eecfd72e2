import { UpstreamError } from '../errors.ts';
import type { LockTable } from './locks.ts';

interface Entry {
  readonly holder: string;
  readonly token: number;
  readonly expiresAt: number;
}

/** Locks held at once in one process; far above what its code can name. */
const maxLocks = 10_000;

/** Locks within this process. */
export function createMemoryLockTable(options: { readonly now?: () => number } = {}): LockTable {
  const now = options.now ?? Date.now;
  const entries = new Map<string, Entry>();
  let lastToken = 0;
  const find = (name: string): Entry | undefined => {
    const entry = entries.get(name);
    return entry !== undefined && now() < entry.expiresAt ? entry : undefined;
  };
  const makeRoom = (): void => {
    if (entries.size < maxLocks) return;
    for (const name of entries.keys()) if (find(name) === undefined) entries.delete(name);
    if (entries.size >= maxLocks) throw new UpstreamError('locks', 'Too many locks are held at once');
  };
  return {
    take: async (name, holder, ttlMs) => {
      const present = find(name);
      if (present !== undefined && present.holder !== holder) return undefined;
      if (!entries.has(name)) makeRoom();
      if (present === undefined) lastToken = Math.max(now(), lastToken + 1);
      const token = present?.token ?? lastToken;
      entries.set(name, { holder, token, expiresAt: now() + ttlMs });
      return token;
    },
    renew: async (name, holder, ttlMs) => {
      const present = find(name);
      if (present?.holder !== holder) return false;
      entries.set(name, { ...present, expiresAt: now() + ttlMs });
      return true;
    },
    release: async (name, holder) => {
      if (entries.get(name)?.holder === holder) entries.delete(name);
    },
  };
}
