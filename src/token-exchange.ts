/** Tokens for the users of issuers that are trusted for identity: the service, with what it stands on. */
import { createIdentityVerifier } from './auth/issuers/issuer-identities.ts';
import { createOwnIssuer } from './auth/issuers/own-issuer.ts';
import type { TokenVerifier } from './auth/issuers/token-verifier.ts';
import type { Revocations } from './auth/revocation/revocations.ts';
import type { AccessTokenClaims } from './auth/tokens/access-token.ts';
import type { SigningKeys } from './auth/tokens/signing-keys.ts';
import { createTokenService, refreshWindowMs, type TokenService } from './auth/tokens/token-service.ts';
import type { Config } from './config/config.ts';
import { RequestError } from './errors.ts';
import type { TokenServiceHandlers } from './http/routes.ts';
import { createTokenServiceEndpoints } from './http/endpoints/token-service.ts';
import { limitedDetail, limitFailures, tokenFailures } from './http/limit-by-address.ts';
import type { Identity } from './identity.ts';
import { startHourlySweep } from './lib/hourly-sweep.ts';
import type { Limits } from './policy/limits.ts';
import type { Logger } from './telemetry/logger.ts';

/** What the exchange is made of. */
export interface TokenExchangeOptions {
  readonly config: Config;
  readonly identity: Pick<Identity, 'users' | 'tokenFamilies'>;
  readonly verifier: TokenVerifier;
  readonly revocations: Revocations;
  readonly limits: Limits;
  readonly keys: SigningKeys;
  readonly logger: Logger;
}

/** The exchange under one public URL. */
export interface ServedExchange {
  readonly service: TokenService;
  readonly endpoints: TokenServiceHandlers;
}

/** The exchange, before it is known where the host is reached. */
export interface TokenExchange {
  /** Tokens that name this issuer are taken from then on. */
  serve(publicUrl: string, resource: string): ServedExchange;
  close(): Promise<void>;
}

/** A client asks when its token ends; several devices of one user may do so at once. */
const attempts = { capacity: 60, windowMs: 300_000 };

/** Whether anybody can exchange anything. */
export function isExchangeServed({ server, tokens }: Config): boolean {
  return server.transport !== 'stdio' && tokens.trustedIssuers.some(({ uses }) => uses.includes('identity'));
}

/** Nothing is read or made before the first request needs it. */
export function createTokenExchange(options: TokenExchangeOptions): TokenExchange {
  const { config, identity, verifier, revocations, limits, keys, logger } = options;

  // What has ended is refused already; here it is only forgotten.
  const sweep = startHourlySweep(
    [() => identity.tokenFamilies.removeEnded(Date.now() - refreshWindowMs), () => keys.removeRetired()],
    (error) => {
      logger.error('auth.token_sweep_failed', {}, error);
    },
  );

  return {
    serve: (issuer, resource) => {
      verifier.trust(createOwnIssuer({ issuer, resource, keys }));
      const service = createTokenService({
        issuer,
        resource,
        keys,
        users: identity.users,
        families: identity.tokenFamilies,
        identities: createIdentityVerifier(verifier),
        revoke: async (kind, name) => {
          await revocations.revoke(kind, name);
        },
        isRevoked: (claims) => revocations.isRevoked(toRevocable(claims, issuer)),
        takeAttempt: async (what, ...whose) => {
          const { isAllowed, retryAfterMs } = await limits.take([`token-${what}`, ...whose], attempts);
          if (!isAllowed) throw toRateLimited(retryAfterMs);
        },
        ttlSeconds: config.signIn.mcpTokenTtlSeconds,
        maxAgeSeconds: config.signIn.mcpTokenMaxAgeSeconds,
        onReuse: ({ id, userId, tenantId }) => {
          logger.warn('auth.token_reused', { sessionId: id, userId, tenantId });
        },
      });
      return { service, endpoints: limitEndpoints(createTokenServiceEndpoints(service, keys), limits) };
    },
    close: () => sweep.close(),
  };
}

/** What fails is counted by address; what succeeds, by user. */
function limitEndpoints(endpoints: TokenServiceHandlers, limits: Limits): TokenServiceHandlers {
  const options = {
    ...tokenFailures,
    limits,
    isFailure: () => false,
    refuse: (retryAfterSeconds: number) => {
      throw toRateLimited(retryAfterSeconds * 1000, limitedDetail);
    },
  };
  return {
    ...endpoints,
    exchange: limitFailures(endpoints.exchange, options),
    refresh: limitFailures(endpoints.refresh, options),
  };
}

function toRevocable(
  { subject, tenantId, tokenId, issuedAt, sessionId, clientId }: AccessTokenClaims,
  issuer: string,
): Parameters<Revocations['isRevoked']>[0] {
  return {
    subject,
    activeTenantId: tenantId,
    token: {
      issuer,
      tokenId,
      issuedAt,
      ...(sessionId !== undefined && { sessionId }),
      ...(clientId !== undefined && { clientId }),
    },
  };
}

function toRateLimited(retryAfterMs: number, detail?: string): RequestError {
  return new RequestError('rate_limited', 'Tokens were asked for too often', {
    ...(detail !== undefined && { detail }),
    headers: { 'Retry-After': String(Math.ceil(retryAfterMs / 1000)) },
  });
}
