import { createSigningKeys, type SigningKeys } from './auth/tokens/signing-keys.ts';
import type { SigningKeyStore } from './auth/tokens/signing-key-store.ts';
import { refreshWindowMs } from './auth/tokens/token-service.ts';
import type { Config } from './config/config.ts';
import type { SealedBox } from './mcp/sealed-box.ts';

/**
 * The keys that this server's tokens are signed with, the same for all that signs. One that retired is published for as long
 * as a token of its may still be presented: the token service takes some long after their end.
 *
 * @param options.onUnreadable told of keys that do not open
 */
export function openSigningKeys(options: {
  readonly config: Config;
  readonly store: SigningKeyStore;
  readonly box: SealedBox;
  readonly onUnreadable: (id: string) => void;
}): SigningKeys {
  const { accessTokenTtlSeconds, mcpTokenTtlSeconds } = options.config.signIn;
  return createSigningKeys({
    store: options.store,
    box: options.box,
    keepRetiredMs: refreshWindowMs + Math.max(accessTokenTtlSeconds, mcpTokenTtlSeconds) * 1000,
    onUnreadable: options.onUnreadable,
  });
}
