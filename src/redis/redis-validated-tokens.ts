import {
  maxValidatedMs,
  type ValidatedToken,
  type ValidatedTokens,
} from '../auth/issuers/validated-tokens.ts';
import type { Principal } from '../auth/principal.ts';
import type { SealedBox } from '../mcp/sealed-box.ts';
import type { RedisConnection } from './redis-connection.ts';

const purpose = 'validated-token';

/** What validated tokens are kept with. */
export interface RedisValidatedTokensOptions {
  readonly redis: RedisConnection;
  /** Seals each entry to its token's hash: who can write to Redis cannot make one. */
  readonly box: SealedBox;
  /** Stands for the issuers that are trusted: an instance that trusts others does not take the entry. */
  readonly trust: string;
  readonly now?: () => number;
}

/** Validated tokens on Redis, sealed. What does not open is as what is not there. */
export function createRedisValidatedTokens(options: RedisValidatedTokensOptions): ValidatedTokens {
  const { redis, box, trust, now = Date.now } = options;
  const toKey = (hash: string): string => `${redis.prefix}token:${hash}`;
  const toBound = (hash: string): string => JSON.stringify([trust, hash]);
  return {
    load: async (hash) => {
      const sealed = await redis.client.get(toKey(hash));
      if (sealed === null) return undefined;
      const text = box.open(sealed, { purpose, boundTo: toBound(hash) });
      return text === undefined ? undefined : parseEntry(text);
    },
    save: async (hash, token) => {
      const ttlMs = Math.min(maxValidatedMs, (token.principal.expiresAt ?? 0) - now());
      if (ttlMs < 1) return;
      const sealed = box.seal(JSON.stringify(token), {
        purpose,
        boundTo: toBound(hash),
        ttlSeconds: Math.ceil(ttlMs / 1000),
      });
      await redis.client.set(toKey(hash), sealed, { expiration: { type: 'PX', value: Math.floor(ttlMs) } });
    },
  };
}

/** Sealed by us, so that its shape is ours. */
function parseEntry(text: string): ValidatedToken {
  const { principal, validatedAt } = JSON.parse(text) as ValidatedToken;
  return { principal: freeze(principal), validatedAt };
}

function freeze(principal: Principal): Principal {
  Object.freeze(principal.scopes);
  Object.freeze(principal.tenantIds);
  Object.freeze(principal.token);
  return Object.freeze(principal);
}
