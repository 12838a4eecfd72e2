/**
 * The embedded authorization server: an engine that knows the protocols, and around it what MCP clients need that it
 * does not do by itself. Everything it keeps is in the `OauthStore`; an instance of it holds nothing that matters.
 *
 * Not here: who may be a user (`auth/users`), what access tokens are good for (the resource server), and how often
 * anybody may ask.
 */
import type { IncomingMessage } from 'node:http';
import type { Provider } from 'oidc-provider';
import { isServiceClientId, type ServiceClientStore } from '../auth/clients/service-client-store.ts';
import type { ProofCheck } from '../auth/dpop/dpop-proof.ts';
import type { TokenVerifier } from '../auth/issuers/token-verifier.ts';
import type { OauthStore } from '../auth/oauth-store.ts';
import type { RevocationKind } from '../auth/revocation/revocation-store.ts';
import { intersectScopes } from '../auth/scope-cover.ts';
import type { TenantStore } from '../auth/tenant-store.ts';
import { resolveMember } from '../auth/tokens/memberships.ts';
import type { SigningKeys } from '../auth/tokens/signing-keys.ts';
import type { TokenService } from '../auth/tokens/token-service.ts';
import type { Newcomers } from '../auth/users/known-identity.ts';
import type { UserStore } from '../auth/users/user-store.ts';
import { RequestError, UpstreamError } from '../errors.ts';
import type { SealedBox } from '../mcp/sealed-box.ts';
import { addAssertionGrant, toServiceSubject } from './client-grants.ts';
import { createClientDocumentFetch, isClientDocumentUrl } from './client-documents.ts';
import { createGrantTenants } from './grant-tenants.ts';
import type { IdentityAssertionOptions } from './grants/identity-assertion-grant.ts';
import { createInteractions } from './interactions.ts';
import { loadProvider } from './load-provider.ts';
import type { SignInMethod } from './interaction-step.ts';
import { createLocalSignIn, type LocalSignInOptions } from './local-sign-in.ts';
import { createOauthClients, toClientId } from './oauth-clients.ts';
import { createOauthEndpoints, type OauthEndpoints } from './oauth-endpoints.ts';
import { pageHeaders, renderDocument } from './pages/html.ts';
import { renderProblemPage } from './pages/interaction-pages.ts';
import { createProviderAdapters, proofModel } from './provider-adapter.ts';
import { createPublicFetch, type Lookup } from './public-fetch.ts';
import { toInteractionPath } from './step-runner.ts';
import { createStepUpNotices } from './step-up-notices.ts';
import { createUpstreamAttempts } from './upstream-attempts.ts';
import type { UpstreamProvider } from './upstream-provider.ts';
import { createUpstreamSignIn } from './upstream-sign-in.ts';
import { createProviderConfiguration, tokenPath, type TokenSubject } from './provider-configuration.ts';

/** What the server is made of. */
export interface AuthorizationServerOptions {
  /** The issuer: no trailing slash. */
  readonly publicUrl: string;
  /** Canonical URI of the MCP endpoint. */
  readonly resource: string;
  /** For people. */
  readonly serverName: string;
  /** Every scope of the server, and what it allows in words. */
  readonly scopes: ReadonlyMap<string, string | undefined>;
  /** What a client gets that asks for nothing. */
  readonly baseScopes: readonly string[];
  readonly store: OauthStore;
  readonly users: UserStore;
  readonly tenants: TenantStore;
  /** Programs that call for themselves. */
  readonly serviceClients: Pick<ServiceClientStore, 'findById'>;
  /** Verifies what other issuers say of their users for one client; absent where none is trusted for that. */
  readonly assertions?: Pick<TokenVerifier, 'verify'>;
  /** Checks the proof of a key that a token is to be bound to. */
  readonly checkProof: ProofCheck;
  readonly keys: SigningKeys;
  readonly box: SealedBox;
  /** Sign cookies; the first signs, all verify. */
  readonly cookieKeys: readonly string[];
  /** With a password here, or at another provider. */
  readonly signIn: Omit<LocalSignInOptions, 'users'> | UpstreamSignIn;
  /** Ends tokens on every instance. */
  readonly revoke: (kind: RevocationKind, name: string) => Promise<void>;
  /** Absent where no issuer is trusted for identity tokens. */
  readonly tokenService?: Pick<TokenService, 'exchange'>;
  readonly accessTokenTtlSeconds: number;
  readonly refreshTokenTtlSeconds: number;
  /** How long a browser stays signed in. */
  readonly signInTtlSeconds: number;
  /** Told of failures that no request reports. */
  readonly onError: (error: unknown) => void;
  /** The way out to clients' documents and keys, held to public addresses. Default: the runtime's. */
  readonly fetch?: typeof globalThis.fetch;
  /** Default: the system's. */
  readonly lookup?: Lookup;
  readonly now?: () => number;
}

/** Signing in at another provider. */
export interface UpstreamSignIn {
  readonly provider: UpstreamProvider;
  /** What people are from their first sign-in on. Default: users without a tenant. */
  readonly newcomers?: Newcomers;
}

/** A running authorization server. */
export interface AuthorizationServer {
  readonly endpoints: OauthEndpoints;
  /** Told that a request with a token of this grant needs scopes that the grant does not have. */
  noticeStepUp(grantId: string): Promise<void>;
  /** Writes down what waits to be. */
  close(): Promise<void>;
}

/** How long a refresh token that was redeemed may be redeemed again: clients race with themselves. */
export const refreshGraceMs = 45_000;

/** Builds it. The engine is loaded when the first request needs it. */
export function createAuthorizationServer(options: AuthorizationServerOptions): AuthorizationServer {
  const { store, box, users, resource, keys, now = Date.now } = options;
  const publicUrl = new URL(options.publicUrl);
  const { serviceClients, checkProof } = options;
  const clients = createOauthClients({ store, serviceClients, box, now });
  const tokenUrl = `${options.publicUrl}${tokenPath}`;
  const grantTenants = createGrantTenants(store, box, now);
  const stepUps = createStepUpNotices(store, now);
  /** What requests met that the engine answered as a fault of its own. */
  const outages = new WeakMap<IncomingMessage, UpstreamError>();
  let built: { readonly keyId: string; readonly provider: Provider } | undefined;

  /** The engine holds its signing key for good: with another key it is another engine. Nothing else is lost. */
  const getProvider = async (): Promise<Provider> => {
    const key = await keys.current();
    if (built?.keyId !== key.id) built = { keyId: key.id, provider: await buildProvider([key.privateJwk]) };
    return built.provider;
  };

  const buildProvider = async (
    signingKeys: Parameters<typeof createProviderConfiguration>[0]['signingKeys'],
  ): Promise<Provider> => {
    const { Provider, errors } = await loadProvider();
    const provider = new Provider(
      options.publicUrl,
      createProviderConfiguration({
        errors,
        signingKeys,
        adapters: createProviderAdapters({
          store,
          box,
          clients,
          refreshGraceMs,
          onGrantEnded: (grantId) => options.revoke('grant', grantId),
          toUsedError: (model) =>
            model === proofModel
              ? new errors.InvalidRequest('this proof was used before')
              : new errors.InvalidGrant(`this ${model} was used before`),
          now,
        }),
        cookieKeys: options.cookieKeys,
        isSecure: publicUrl.protocol === 'https:',
        resource,
        scopes: [...options.scopes.keys()],
        toInteractionPath,
        accessTokenTtlSeconds: options.accessTokenTtlSeconds,
        refreshTokenTtlSeconds: options.refreshTokenTtlSeconds,
        sessionTtlSeconds: options.signInTtlSeconds,
        isAccountActive: async (accountId) => (await users.findById(accountId))?.isActive === true,
        toTokenSubject: async (grantId, accountId, scopes) => {
          try {
            return await toTokenSubject(grantId, accountId, scopes);
          } catch (error) {
            if (error instanceof RequestError) throw new errors.InvalidGrant(error.message);
            throw error;
          }
        },
        toClientSubject: async (clientId, scopes) => {
          const client = isServiceClientId(clientId) ? await serviceClients.findById(clientId) : undefined;
          if (client === undefined)
            throw new errors.UnauthorizedClient(`client ${clientId} belongs to no tenant`);
          try {
            return toServiceSubject(client, scopes, options.scopes);
          } catch (error) {
            if (error instanceof RequestError) throw new errors.InvalidScope(error.message, scopes.join(' '));
            throw error;
          }
        },
        toClientId,
        fetch: createClientDocumentFetch(
          createPublicFetch(options.fetch ?? globalThis.fetch, options.lookup),
        ),
        isClientDocumentAllowed: isClientDocumentUrl,
        renderError: (ctx, { error, error_description: description }) => {
          ctx.set(pageHeaders);
          const page = renderProblemPage(
            'This request cannot be taken',
            `${description ?? 'The request is not valid'} (${error})`,
            'Go back to the application that sent you here. If it happens again, remove this server there and add it anew: what the application remembers of it may be out of date.',
          );
          ctx.body = renderDocument(page.title, page.content);
        },
      }),
    );
    addAssertionGrant(provider, {
      errors,
      assertions: toAssertions(options, now),
      checkProof,
      tokenUrl,
      resource,
    });
    // Where we are reached is told by us, not by whoever asks: see `run-listener.ts`.
    provider.proxy = true;
    provider.on('server_error', (ctx, error) => {
      // What is out of reach is no fault: whoever asked is told, in `outage-replies.ts`.
      if (error instanceof UpstreamError) outages.set(ctx.req, error);
      else options.onError(error);
    });
    return provider;
  };

  const toTokenSubject = async (
    grantId: string,
    accountId: string,
    scopes: readonly string[],
  ): Promise<TokenSubject> => {
    const tenantId = await grantTenants.find(grantId);
    if (tenantId === undefined) throw new RequestError('forbidden', 'The grant has ended');
    const { membership } = await resolveMember(users, await users.findById(accountId), tenantId);
    return {
      scopes: intersectScopes(
        scopes.filter((scope) => options.scopes.has(scope)),
        membership.scopes,
      ),
      claims: { tenant: tenantId, role: membership.role, gid: grantId, gty: 'authorization_server' },
    };
  };

  const interactions = createInteractions({
    getProvider,
    publicUrl,
    resource,
    serverName: options.serverName,
    scopes: options.scopes,
    users,
    tenants: options.tenants,
    grantTenants,
    box,
    signIn: createSignInMethod(options, now),
  });

  return {
    endpoints: createOauthEndpoints({
      getProvider,
      findOutage: (incoming) => outages.get(incoming),
      publicUrl,
      resource,
      baseScopes: options.baseScopes,
      clients,
      keys,
      interactions,
      stepUps,
      checkProof,
      tokenUrl,
      hasAssertions: options.assertions !== undefined,
      revoke: options.revoke,
      ...(options.tokenService !== undefined && { tokenService: options.tokenService }),
    }),
    noticeStepUp: (grantId) => stepUps.insert(grantId),
    close: () => clients.flush(),
  };
}

function toAssertions(
  options: AuthorizationServerOptions,
  now: () => number,
): IdentityAssertionOptions | undefined {
  const { assertions: verifier, publicUrl: issuer } = options;
  return verifier === undefined ? undefined : { ...options, verifier, issuer, now };
}

function createSignInMethod(
  { signIn, users, store, box, onError }: AuthorizationServerOptions,
  now: () => number,
): SignInMethod {
  if (!('provider' in signIn)) return createLocalSignIn({ ...signIn, users });
  return createUpstreamSignIn({
    ...signIn,
    users,
    attempts: createUpstreamAttempts(store, box, now),
    onError,
    now,
  });
}
