/** What takes access tokens: trusted issuers, revocations, proofs of possession, joined. */
import { createProofCheck, type ProofCheck } from './auth/dpop/dpop-proof.ts';
import { RemoteKeySet } from './auth/issuers/remote-key-set.ts';
import { createTokenVerifier, type TokenVerifier } from './auth/issuers/token-verifier.ts';
import type { RevocationStore } from './auth/revocation/revocation-store.ts';
import type { Revocations } from './auth/revocation/revocations.ts';
import { SharedRevocations } from './auth/revocation/shared-revocations.ts';
import { TokenAuthenticator } from './auth/token-authenticator.ts';
import type { UserStore } from './auth/users/user-store.ts';
import type { Config } from './config/config.ts';
import type { Sharing } from './sessions/sharing.ts';
import type { Logger } from './telemetry/logger.ts';

/** The resource server's share of sign-in. */
export interface TokenSide {
  readonly verifier: TokenVerifier;
  readonly revocations: Revocations;
  readonly checkProof: ProofCheck;
  readonly authenticator: TokenAuthenticator;
  close(): Promise<void>;
}

/** What it is made of. */
export interface TokenSideOptions {
  readonly config: Config;
  readonly sharing: Pick<Sharing, 'bus' | 'replays' | 'validatedTokens'>;
  readonly revocationStore: RevocationStore;
  readonly users?: UserStore;
  readonly logger: Logger;
}

/** Built without a request to anybody: keys are fetched when the first token comes. */
export function createTokenSide(options: TokenSideOptions): TokenSide {
  const { sharing, users, logger } = options;
  const { trustedIssuers, revocationMaxStalenessMs, revocationStrict, revocationWhenUnknown } =
    options.config.tokens;
  const verifier = createTokenVerifier(
    trustedIssuers.map((issuer) => ({
      issuer,
      keys: new RemoteKeySet({
        issuer: issuer.issuers[0] ?? '',
        ...(issuer.jwksUri !== undefined && { jwksUri: issuer.jwksUri }),
        onError: (error) => {
          logger.error('auth.issuer_keys_failed', { issuer: issuer.name }, error);
        },
      }),
    })),
  );
  const revocations = new SharedRevocations({
    store: options.revocationStore,
    bus: sharing.bus,
    maxStalenessMs: revocationMaxStalenessMs,
    isStrict: revocationStrict,
    whenUnknown: revocationWhenUnknown,
    onError: (error) => {
      logger.error('auth.revocations_failed', {}, error);
    },
  });
  const checkProof = createProofCheck(sharing.replays);
  const authenticator = new TokenAuthenticator({
    verifier,
    revocations,
    checkProof,
    ...(sharing.validatedTokens !== undefined && { shared: sharing.validatedTokens }),
    ...(users !== undefined && { users }),
    onError: (error) => {
      logger.error('auth.validated_tokens_failed', {}, error);
    },
  });
  return { verifier, revocations, checkProof, authenticator, close: () => revocations.close() };
}
