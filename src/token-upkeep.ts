/** What an operator does to tokens and their keys from the command line, on the database that running hosts share. */
import { maxTokenLifetimeMs } from './auth/revocation/shared-revocations.ts';
import type { RevocationKind } from './auth/revocation/revocation-store.ts';
import type { StoredSigningKey } from './auth/tokens/signing-key-store.ts';
import type { Config, Secrets } from './config/config.ts';
import { keepEncryptionKey } from './config/kept-encryption-key.ts';
import { type Identity, openIdentity } from './identity.ts';
import { createSealedBox } from './mcp/sealed-box.ts';
import { openSigningKeys } from './open-signing-keys.ts';
import { toSealingKeys } from './sharing.ts';

/** Upkeep of tokens. Each method throws `UpstreamError` when the database cannot be reached. */
export interface TokenUpkeep {
  /** @param isAtOnce whether the new key signs from now on, before everybody who keeps our JWKS knows it */
  rotateKeys(isAtOnce: boolean): Promise<StoredSigningKey>;
  /** Ends what the name stands for; running hosts read it from the database. @returns when it was revoked */
  revoke(kind: RevocationKind, name: string): Promise<number>;
  /** Ends an API key. @throws RequestError `not_found` */
  revokeKey(id: string): Promise<number>;
  close(): Promise<void>;
}

/**
 * Opens the database that the configuration names.
 *
 * @throws ConfigError when it cannot be used as configured
 * @throws UpstreamError when it cannot be reached
 */
export async function openTokenUpkeep(config: Config, given: Secrets): Promise<TokenUpkeep> {
  const secrets = keepEncryptionKey(config, given);
  return createTokenUpkeep(await openIdentity(config, secrets), config, secrets);
}

function createTokenUpkeep(identity: Identity, config: Config, secrets: Secrets): TokenUpkeep {
  const keys = openSigningKeys({
    config,
    store: identity.signingKeys,
    box: createSealedBox({ keys: toSealingKeys(secrets) }),
    // A new one is being made: that is the remedy.
    onUnreadable: () => undefined,
  });
  return {
    rotateKeys: (isAtOnce) => keys.rotate({ isAtOnce }),
    revoke: async (kind, name) => {
      const revokedAt = Date.now();
      await identity.revocations.insert({ kind, name, revokedAt, expiresAt: revokedAt + maxTokenLifetimeMs });
      // What could give new tokens ends, too.
      if (kind === 'session') await identity.tokenFamilies.revoke(name, revokedAt);
      if (kind === 'grant') await identity.oauth.removeByGrant(name);
      return revokedAt;
    },
    revokeKey: async (id) => {
      await identity.keys.revoke({ kind: 'operator' }, id);
      return Date.now();
    },
    close: () => identity.close(),
  };
}
