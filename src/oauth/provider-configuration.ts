/**
 * How the engine is set up. Its defaults are right for OpenID Connect and wrong for MCP clients in eight ways; each
 * remedy is marked here or in the file it lives in, and each has a test.
 */
import type { Adapter, Configuration, errors as Errors, KoaContextWithOIDC } from 'oidc-provider';
import type { JWK } from 'jose';

/** What an access token says beside what the engine makes it say. */
export interface TokenSubject {
  readonly scopes: readonly string[];
  /** Further claims, as they go on the wire. */
  readonly claims: Readonly<Record<string, unknown>>;
}

/** What the set-up depends on. */
export interface ProviderConfigurationOptions {
  readonly errors: typeof Errors;
  readonly adapters: (model: string) => Adapter;
  /** Private, the one to sign with first. */
  readonly signingKeys: readonly JWK[];
  /** Sign the engine's cookies; the first signs, all verify. */
  readonly cookieKeys: readonly string[];
  readonly isSecure: boolean;
  /** Canonical URI of the MCP endpoint: the only resource there is. */
  readonly resource: string;
  /** Every scope that the server knows. */
  readonly scopes: readonly string[];
  /** Path of the page for one interaction. */
  readonly toInteractionPath: (uid: string) => string;
  readonly accessTokenTtlSeconds: number;
  readonly refreshTokenTtlSeconds: number;
  readonly sessionTtlSeconds: number;
  /** Whether the account may still sign in. */
  readonly isAccountActive: (accountId: string) => Promise<boolean>;
  /** What a user's token says, as things are at this moment. @throws what the engine renders, when it may say nothing */
  readonly toTokenSubject: (
    grantId: string,
    accountId: string,
    scopes: readonly string[],
  ) => Promise<TokenSubject>;
  /** What a token of a client that calls for itself says, which asked for these scopes. */
  readonly toClientSubject: (clientId: string, scopes: readonly string[]) => Promise<TokenSubject>;
  /** The id of a client that registers with these metadata. */
  readonly toClientId: (metadata: Readonly<Record<string, unknown>>) => string;
  /** The engine's way out, to client metadata documents and clients' keys. */
  readonly fetch: NonNullable<Configuration['fetch']>;
  /** Whether the metadata document of this client may be fetched. */
  readonly isClientDocumentAllowed: (clientId: string) => boolean;
  readonly renderError: NonNullable<Configuration['renderError']>;
}

/** Path of the token endpoint. */
export const tokenPath = '/oauth/token';

const authorizationCodeTtlSeconds = 60;
const interactionTtlSeconds = 3600;
const grantTtlSeconds = 400 * 24 * 3600;
const clientDocumentCacheSeconds = { min: 60, max: 86_400 };

/** @see the decision record on oidc-provider for what each part is for */
export function createProviderConfiguration(options: ProviderConfigurationOptions): Configuration {
  const { errors, resource, scopes, isSecure } = options;
  const resourceServer = {
    scope: scopes.join(' '),
    audience: resource,
    accessTokenFormat: 'jwt' as const,
    accessTokenTTL: options.accessTokenTtlSeconds,
    jwt: { sign: { alg: 'ES256' as const } },
  };
  return {
    adapter: options.adapters,
    jwks: { keys: [...options.signingKeys] },
    routes: {
      authorization: '/oauth/authorize',
      token: tokenPath,
      registration: '/oauth/register',
      revocation: '/oauth/revoke',
      jwks: '/oauth/jwks',
    },
    // Those of the resource are known to the engine from the resource alone; here it would ask for them twice.
    scopes: ['openid', 'offline_access'],
    responseTypes: ['code'],
    pkce: { required: () => true },
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    clientDefaults: {
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      id_token_signed_response_alg: 'ES256',
    },
    // `dpop_bound_access_tokens` aside, nothing of a registration narrows what the client may later ask for.
    enabledJWA: {
      idTokenSigningAlgValues: ['ES256'],
      clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      dPoPSigningAlgValues: ['ES256', 'EdDSA', 'RS256', 'PS256'],
    },
    ttl: {
      AccessToken: options.accessTokenTtlSeconds,
      AuthorizationCode: authorizationCodeTtlSeconds,
      Interaction: interactionTtlSeconds,
      Grant: grantTtlSeconds,
      Session: options.sessionTtlSeconds,
      RefreshToken: options.refreshTokenTtlSeconds,
      ClientCredentials: options.accessTokenTtlSeconds,
      IdToken: options.accessTokenTtlSeconds,
    },
    cookies: {
      keys: [...options.cookieKeys],
      names: {
        session: isSecure ? '__Host-mooring-sign-in' : 'mooring-sign-in',
        interaction: isSecure ? '__Secure-mooring-interaction' : 'mooring-interaction',
        resume: isSecure ? '__Secure-mooring-resume' : 'mooring-resume',
      },
      long: { httpOnly: true, sameSite: 'lax', secure: isSecure, signed: true, path: '/' },
      short: { httpOnly: true, sameSite: 'lax', secure: isSecure, signed: true },
    },
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      revocation: {
        enabled: true,
        // Another client's token is as one that nobody knows: RFC 7009, section 2.2, and nothing is told about it.
        allowedPolicy: (_ctx, client, token) => Promise.resolve(token.clientId === client.clientId),
      },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true },
      registration: {
        enabled: true,
        issueRegistrationAccessToken: false,
        idFactory: (ctx) => options.toClientId(toBody(ctx)),
      },
      clientIdMetadataDocument: {
        enabled: true,
        ack: 'draft-02',
        cacheDuration: clientDocumentCacheSeconds,
        allowFetch: (_ctx, clientId) => Promise.resolve(options.isClientDocumentAllowed(clientId)),
      },
      resourceIndicators: {
        enabled: true,
        // A client that names no resource means the only one there is.
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, given) => {
          if (given !== resource) throw new errors.InvalidTarget('this server protects another resource');
          return resourceServer;
        },
      },
    },
    // By the grant alone: many clients never ask for `offline_access`.
    issueRefreshToken: (_ctx, client) => Promise.resolve(client.grantTypeAllowed('refresh_token')),
    rotateRefreshToken: true,
    expiresWithSession: () => false,
    clientBasedCORS: () => false,
    interactions: { url: (_ctx, { uid }) => options.toInteractionPath(uid) },
    findAccount: async (_ctx, accountId) =>
      (await options.isAccountActive(accountId))
        ? { accountId, claims: () => ({ sub: accountId }) }
        : undefined,
    formats: {
      customizers: {
        jwt: async (ctx, token, parts) => {
          const subject =
            token.kind === 'AccessToken'
              ? await options.toTokenSubject(token.grantId ?? '', token.accountId, toWords(token.scope))
              : // Not what the engine left of it: of scopes that it does not know alone, that is as if none was asked for.
                await options.toClientSubject(token.clientId ?? '', toWords(ctx.oidc.params?.['scope']));
          // Also what the token response tells the client.
          token.scope = subject.scopes.join(' ');
          Object.assign(parts.payload, subject.claims, { scope: token.scope });
        },
      },
    },
    fetch: options.fetch,
    renderError: options.renderError,
  };
}

function toWords(scope: unknown): readonly string[] {
  return typeof scope === 'string' ? scope.split(' ').filter((word) => word !== '') : [];
}

/** What the engine parsed of a registration's body. */
function toBody(ctx: KoaContextWithOIDC): Readonly<Record<string, unknown>> {
  return (ctx.oidc.body ?? {}) as Readonly<Record<string, unknown>>;
}
