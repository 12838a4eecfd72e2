/** How people and their clients get in: the authorization server, with the keys and the accounts it stands on. */
import { hkdfSync } from 'node:crypto';
import { createOwnIssuer } from './auth/issuers/own-issuer.ts';
import type { ProofCheck } from './auth/dpop/dpop-proof.ts';
import type { TokenVerifier } from './auth/issuers/token-verifier.ts';
import type { Revocations } from './auth/revocation/revocations.ts';
import type { TokenService } from './auth/tokens/token-service.ts';
import type { SigningKeys } from './auth/tokens/signing-keys.ts';
import type { Principal } from './auth/principal.ts';
import { isPassword } from './auth/users/password.ts';
import type { Config, Secrets } from './config/config.ts';
import { toUpstreamName } from './config/upstream-name.ts';
import type { Identity } from './identity.ts';
import { startHourlySweep } from './lib/hourly-sweep.ts';
import type { DispatchTarget } from './mcp/dispatch-target.ts';
import type { Extensions } from './mcp/engine.ts';
import type { SealedBox } from './mcp/sealed-box.ts';
import { limitOauthEndpoints } from './oauth/address-limits.ts';
import {
  type AuthorizationServer,
  createAuthorizationServer,
  type UpstreamSignIn,
} from './oauth/authorization-server.ts';
import { answerOutages } from './oauth/outage-replies.ts';
import { createUpstreamProvider } from './oauth/upstream-provider.ts';
import type { Limits } from './policy/limits.ts';
import type { Logger } from './telemetry/logger.ts';

/** What signing in is made of. */
export interface SignInOptions {
  readonly config: Config;
  readonly secrets: Secrets;
  readonly identity: Identity;
  readonly target: DispatchTarget;
  readonly limits: Limits;
  readonly box: SealedBox;
  readonly verifier: TokenVerifier;
  readonly checkProof: ProofCheck;
  readonly revocations: Revocations;
  readonly keys: SigningKeys;
  readonly logger: Logger;
}

/** Signing in, before it is known where the host is reached. */
export interface SignIn {
  /** The authorization server under this public URL, whose tokens are taken from then on. */
  serve(
    publicUrl: string,
    resource: string,
    tokenService?: Pick<TokenService, 'exchange'>,
  ): AuthorizationServer;
  /** Told that a caller lacks a scope, before the caller is. */
  noticeStepUp(principal: Principal): Promise<void>;
  close(): Promise<void>;
}

/** Sign-in attempts for one name: a few at once, then one every half minute. */
const attempts = { capacity: 10, windowMs: 300_000 };
const cookieKeyBytes = 32;
/** How long a registration is kept beyond the last refresh token that it can have. */
const unusedClientMs = 7 * 24 * 3_600_000;

/**
 * What the server says of how programs may get in.
 *
 * @see MCP extensions io.modelcontextprotocol/oauth-client-credentials and
 *   io.modelcontextprotocol/enterprise-managed-authorization
 */
export function toSignInExtensions(config: Config): Extensions {
  if (config.signIn.auth !== 'oauth' || config.server.transport === 'stdio') return {};
  return {
    'io.modelcontextprotocol/oauth-client-credentials': {},
    ...(areAssertionsTaken(config) && { 'io.modelcontextprotocol/enterprise-managed-authorization': {} }),
  };
}

function areAssertionsTaken({ tokens }: Config): boolean {
  return tokens.trustedIssuers.some(({ uses }) => uses.includes('id-jag'));
}

/** Nothing is read or made before the first request needs it. */
export function createSignIn(options: SignInOptions): SignIn {
  const { config, secrets, identity, target, limits, box, verifier, checkProof, ...rest } = options;
  const { revocations, keys, logger } = rest;
  const hasAssertions = areAssertionsTaken(config);
  const { accessTokenTtlSeconds, refreshTokenTtlSeconds, signInTtlSeconds } = config.signIn;
  const servers: AuthorizationServer[] = [];
  const onError = (error: unknown): void => {
    logger.error('oauth.failed', {}, error);
  };

  // What has ended is refused already; here it is only forgotten. Each instance does it, and none needs the others.
  const sweep = startHourlySweep(
    [
      () => identity.oauth.removeExpired(Date.now()),
      // None of them can have a refresh token left.
      () => identity.oauth.removeUnusedClients(Date.now() - refreshTokenTtlSeconds * 1000 - unusedClientMs),
      () => keys.removeRetired(),
    ],
    onError,
  );

  /** Where people sign in, unless they do here. */
  const toUpstream = (publicUrl: string): UpstreamSignIn | undefined => {
    const { upstreamIssuer: issuer, ...upstream } = config.upstream;
    const name = toUpstreamName(config);
    if (issuer === undefined || name === undefined) return undefined;
    const { upstreamJoinTenant: tenantId, upstreamJoinScopes: scopes, upstreamJoinRole: role } = upstream;
    const { upstreamClientSecret: secret } = secrets;
    return {
      provider: createUpstreamProvider({
        issuer,
        name,
        clientId: upstream.upstreamClientId,
        ...(secret !== undefined && { clientSecret: secret.reveal() }),
        scopes: upstream.upstreamScopes,
        redirectUri: `${publicUrl}/oauth/callback`,
        onError,
      }),
      ...(tenantId !== '' && { newcomers: { tenantId, role, scopes: scopes.split(' ') } }),
    };
  };

  return {
    serve: (publicUrl, resource, tokenService) => {
      verifier.trust(createOwnIssuer({ issuer: publicUrl, resource, keys }));
      const upstream = toUpstream(publicUrl);
      // The log tells of a wrong setting now, and not when the first person wants to sign in.
      void upstream?.provider.check();
      const server = createAuthorizationServer({
        publicUrl,
        resource,
        serverName: target.serverInfo.title ?? target.serverInfo.name,
        scopes: target.scopes?.described ?? new Map<string, undefined>(),
        baseScopes: target.scopes?.base ?? [],
        store: identity.oauth,
        users: identity.users,
        tenants: identity.tenants,
        serviceClients: identity.serviceClients,
        ...(hasAssertions && { assertions: verifier }),
        checkProof,
        keys,
        box,
        cookieKeys: toCookieKeys(secrets),
        signIn: upstream ?? {
          isPassword,
          takeAttempt: async (whose) => (await limits.take(['sign-in', whose], attempts)).isAllowed,
        },
        revoke: async (kind, name) => {
          await revocations.revoke(kind, name);
        },
        ...(tokenService !== undefined && { tokenService }),
        accessTokenTtlSeconds,
        refreshTokenTtlSeconds,
        signInTtlSeconds,
        onError,
      });
      servers.push(server);
      return { ...server, endpoints: answerOutages(limitOauthEndpoints(server.endpoints, limits), onError) };
    },
    noticeStepUp: async ({ token }) => {
      const [server] = servers;
      if (server === undefined || token?.grantId === undefined) return;
      // It helps a client on; the client is answered without it, too.
      await server.noticeStepUp(token.grantId).catch(onError);
    },
    close: async () => {
      await Promise.all([sweep.close(), ...servers.map((server) => server.close())]);
    },
  };
}

/** Derived, so that a cookie's signature says nothing of what the encryption key seals. */
function toCookieKeys(secrets: Secrets): readonly string[] {
  return secrets.encryptionKeys.map((key) =>
    Buffer.from(hkdfSync('sha256', key.reveal(), '', 'mooring sign-in cookies', cookieKeyBytes)).toString(
      'base64url',
    ),
  );
}
