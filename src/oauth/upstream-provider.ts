/**
 * The OpenID Connect provider that people sign in at instead of having a password here. What it answers is used to know
 * who somebody is, and dropped: its tokens are never kept, and never sent to anybody.
 *
 * @see OpenID Connect Core 1.0, section 3.1; MCP 2026-07-28, Authorization, Token Handling
 */
import type * as OpenidClient from 'openid-client';
import { createIdentityVerifier, toNames } from '../auth/issuers/issuer-identities.ts';
import { RemoteKeySet } from '../auth/issuers/remote-key-set.ts';
import { createTokenVerifier } from '../auth/issuers/token-verifier.ts';
import type { VerifiedIdentity } from '../auth/tokens/identity-verifier.ts';
import { isLoopback } from '../config/loopback.ts';
import { signatureAlgorithms, type TrustedIssuer } from '../config/trusted-issuers.ts';
import { RequestError, UpstreamError } from '../errors.ts';
import { toCanonicalUri } from '../lib/canonical-uri.ts';
import { readBounded } from '../lib/read-bounded.ts';

/** What ties an answer to the question: each a secret of one sign-in. */
export interface UpstreamSecrets {
  readonly state: string;
  readonly nonce: string;
  /** RFC 7636. */
  readonly verifier: string;
}

/** Somebody else who says who people are. */
export interface UpstreamProvider {
  /** For people. */
  readonly name: string;
  readonly issuer: string;
  /** Looks whether the provider can be reached, and is the one that is meant. What is wrong is told to `onError`. */
  check(): Promise<void>;
  /**
   * Where to send a browser.
   *
   * @param isAnew whether the person must prove again who they are, though the provider knows them
   * @throws UpstreamError when the provider cannot be reached
   */
  toUrl(secrets: UpstreamSecrets, isAnew: boolean): Promise<string>;
  /**
   * Who the answer says the person is.
   *
   * @throws RequestError `forbidden` (403) when the person or the provider said no; `invalid_token` (401) for an answer that
   *   does not hold
   * @throws UpstreamError when the provider cannot be reached, or fails
   */
  redeem(answer: URLSearchParams, secrets: UpstreamSecrets): Promise<VerifiedIdentity>;
}

/** How the provider knows this host. */
export interface UpstreamProviderOptions {
  /** Exactly as its discovery document says it. */
  readonly issuer: string;
  readonly name: string;
  readonly clientId: string;
  /** Absent for a public client. */
  readonly clientSecret?: string;
  /** Separated by spaces; `openid` among them. */
  readonly scopes: string;
  /** Where it sends browsers back to, as registered there. */
  readonly redirectUri: string;
  /** Told of failures that no request reports. */
  readonly onError: (error: unknown) => void;
  readonly now?: () => number;
}

/** It refuses what OpenID Connect Core, section 3.1.2.1, has for asking anew, and lets people choose an account instead. */
const google = 'https://accounts.google.com';
const timeoutSeconds = 5;
const maxDocumentBytes = 256 * 1024;
/** The provider may move its endpoints. */
const maxAgeMs = 3_600_000;
/** The library's codes for an answer that does not hold, as against one that could not be had. */
const unsoundCodes = new Set([
  'OAUTH_INVALID_RESPONSE',
  'OAUTH_JWT_CLAIM_COMPARISON_FAILED',
  'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED',
  'OAUTH_JWT_TIMESTAMP_CHECK_FAILED',
]);

type TokenReply = Awaited<ReturnType<typeof OpenidClient.authorizationCodeGrant>>;

interface Discovered {
  readonly library: typeof OpenidClient;
  readonly configuration: OpenidClient.Configuration;
  readonly discoveredAt: number;
}

/** Asks the provider for nothing before it is first used. */
export function createUpstreamProvider(options: UpstreamProviderOptions): UpstreamProvider {
  const { issuer, name, redirectUri, now = Date.now } = options;
  // The library takes an ID token that comes from the token endpoint without looking at its signature. Ours is looked at,
  // with keys that are kept through an outage of the provider.
  const identities = createIdentityVerifier(
    createTokenVerifier(
      [
        {
          issuer: toRecord(options),
          keys: new RemoteKeySet({ issuer, onError: options.onError }),
        },
      ],
      now,
    ),
    now,
  );
  let last: Discovered | undefined;
  let discovering: Promise<Discovered> | undefined;

  /** The last that was known serves while the provider cannot be asked again. */
  const discover = async (): Promise<Discovered> => {
    if (last !== undefined && now() - last.discoveredAt < maxAgeMs) return last;
    discovering ??= discoverNow(options, now).finally(() => {
      discovering = undefined;
    });
    try {
      last = await discovering;
    } catch (error) {
      if (last === undefined) throw error;
      options.onError(error);
    }
    return last;
  };

  return {
    name,
    issuer,
    check: async () => {
      await discover().catch(options.onError);
    },
    toUrl: async ({ state, nonce, verifier }, isAnew) => {
      const { library, configuration } = await discover();
      const url = library.buildAuthorizationUrl(configuration, {
        redirect_uri: redirectUri,
        scope: options.scopes,
        state,
        nonce,
        code_challenge: await library.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        ...(isAnew && { prompt: issuer === google ? 'select_account' : 'login' }),
      });
      return url.href;
    },
    redeem: async (answer, { state, nonce, verifier }) => {
      const discovered = await discover();
      const { library, configuration } = discovered;
      const url = new URL(redirectUri);
      url.search = answer.toString();
      let reply: TokenReply;
      try {
        reply = await library.authorizationCodeGrant(configuration, url, {
          expectedState: state,
          expectedNonce: nonce,
          pkceCodeVerifier: verifier,
          idTokenExpected: true,
        });
      } catch (error) {
        throw toOwnError(error, library, name);
      }
      const identity = await identities.verifyIdentity(reply.id_token ?? '', issuer);
      if (identity.name !== undefined || identity.email !== undefined) return identity;
      return { ...(await askForNames(discovered, reply.access_token, identity)), ...identity };
    },
  };

  /** Most providers tell names in the ID token; others, as OpenID Connect Core, section 5.4, has it, only when asked. */
  async function askForNames(
    { library, configuration }: Discovered,
    accessToken: string,
    { subject }: VerifiedIdentity,
  ): Promise<Pick<VerifiedIdentity, 'name' | 'email'>> {
    if (configuration.serverMetadata().userinfo_endpoint === undefined) return {};
    try {
      return toNames(await library.fetchUserInfo(configuration, accessToken, subject));
    } catch (error) {
      // Who they are is known all the same.
      options.onError(
        new UpstreamError('sign_in_provider', `${name} told no name`, { cause: new Error(toReason(error)) }),
      );
      return {};
    }
  }
}

async function discoverNow(options: UpstreamProviderOptions, now: () => number): Promise<Discovered> {
  const library = await import('openid-client');
  const { issuer, clientId, clientSecret, name } = options;
  try {
    const execute = isLoopback(new URL(issuer).hostname) ? [library.allowInsecureRequests] : [];
    const found = await library.discovery(new URL(issuer), clientId, undefined, library.None(), {
      execute,
      timeout: timeoutSeconds,
      [library.customFetch]: fetchBounded,
    });
    const metadata = found.serverMetadata();
    // OpenID Connect Discovery 1.0, section 4.3: MUST be identical; the library forgives a slash.
    if (metadata.issuer !== issuer) throw new Error('the discovery document is of another issuer');
    const methods = metadata.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    const toMethod = methods.includes('client_secret_basic')
      ? library.ClientSecretBasic
      : library.ClientSecretPost;
    const configuration = new library.Configuration(
      metadata,
      clientId,
      undefined,
      clientSecret === undefined ? library.None() : toMethod(clientSecret),
    );
    configuration.timeout = timeoutSeconds;
    configuration[library.customFetch] = fetchBounded;
    for (const change of execute) change(configuration);
    return { library, configuration, discoveredAt: now() };
  } catch (error) {
    throw new UpstreamError('sign_in_provider', `${name} cannot be reached`, {
      cause: new Error(toReason(error)),
    });
  }
}

const fetchBounded: OpenidClient.CustomFetch = async (url, options) => {
  // What the library hands over is what `fetch` takes.
  const reply = await fetch(url, options as RequestInit);
  const text = await readBounded(reply, maxDocumentBytes);
  // A reply that has no body may not be given one, not even an empty one.
  return new Response(text === '' ? null : text, reply);
};

/** What went wrong, without what the provider sent: there may be tokens in it. */
function toOwnError(error: unknown, library: typeof OpenidClient, name: string): Error {
  const reason = toReason(error);
  if (error instanceof library.AuthorizationResponseError) {
    return error.error === 'access_denied'
      ? new RequestError('forbidden', `${name} let nobody in`, { detail: reason })
      : new UpstreamError('sign_in_provider', `${name} could not sign anybody in`, {
          cause: new Error(reason),
        });
  }
  const isRefused = error instanceof library.ResponseBodyError && error.error === 'invalid_grant';
  const isUnsound = error instanceof library.ClientError && unsoundCodes.has(error.code ?? '');
  if (isRefused || isUnsound)
    return new RequestError('invalid_token', `The answer of ${name} does not hold`, { detail: reason });
  return new UpstreamError('sign_in_provider', `${name} cannot be reached, or refuses this host`, {
    cause: new Error(reason),
  });
}

function toReason(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const {
    code,
    error: told,
    cause,
  } = error as { readonly code?: unknown; readonly error?: unknown; readonly cause?: unknown };
  // Of a provider that refuses this host itself: the challenges, of which only the error's name is told.
  const [challenge] = Array.isArray(cause) ? (cause as readonly ChallengeLike[]) : [];
  const parts = [error.message, code, told, challenge?.parameters?.['error']];
  return parts.filter((part) => typeof part === 'string').join(': ');
}

interface ChallengeLike {
  readonly parameters?: Readonly<Record<string, unknown>>;
}

function toRecord({ issuer, clientId }: UpstreamProviderOptions): TrustedIssuer {
  return Object.freeze<TrustedIssuer>({
    name: 'upstream',
    issuers: [issuer],
    audiences: [],
    identityAudiences: [toCanonicalUri(clientId)],
    tokenType: 'JWT',
    algorithms: signatureAlgorithms,
    clientIdClaims: [],
    scopeClaims: [],
    scopes: [],
    tenant: { kind: 'membership' },
    role: '',
    uses: ['identity'],
    accessClaims: {},
  });
}
