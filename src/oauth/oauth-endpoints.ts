/** The authorization server's requests: what our layer changes before and after the engine, one handler for each. */
import type { IncomingMessage } from 'node:http';
import { compactVerify, decodeProtectedHeader } from 'jose';
import type { Provider } from 'oidc-provider';
import type { RevocationKind } from '../auth/revocation/revocation-store.ts';
import { accessTokenType } from '../auth/tokens/access-token.ts';
import type { SigningKeys } from '../auth/tokens/signing-keys.ts';
import type { TokenService } from '../auth/tokens/token-service.ts';
import { type FullReply, type HttpRequest, toHeader, toJsonReply } from '../http/messages.ts';
import type { RouteHandler } from '../http/routes.ts';
import type { ProofCheck } from '../auth/dpop/dpop-proof.ts';
import type { UpstreamError } from '../errors.ts';
import { toTokenPresentation } from './client-grants.ts';
import { normalizeClientMetadata } from './client-metadata.ts';
import { identityAssertionProfile, jwtBearerGrant } from './grants/identity-assertion-grant.ts';
import { exchangeToken, tokenExchangeGrant } from './grants/token-exchange-grant.ts';
import type { Interactions } from './interactions.ts';
import { type OauthClients, toClientId } from './oauth-clients.ts';
import { runListener } from './run-listener.ts';
import { toCanonicalResource } from './resource-uris.ts';
import type { StepUpNotices } from './step-up-notices.ts';

/** The handlers that the route table mounts. */
export interface OauthEndpoints {
  /** `GET`, `POST /oauth/authorize`. OAuth 2.1, section 4.1.1. */
  readonly authorize: RouteHandler;
  /** `GET /oauth/authorize/{uid}`: goes on after an interaction. */
  readonly resume: RouteHandler;
  /** `POST /oauth/token`. OAuth 2.1, section 3.2. */
  readonly token: RouteHandler;
  /** `POST /oauth/register`. RFC 7591. */
  readonly register: RouteHandler;
  /** `POST /oauth/revoke`. RFC 7009. */
  readonly revoke: RouteHandler;
  /** `GET /oauth/jwks`. RFC 7517. */
  readonly jwks: RouteHandler;
  /** RFC 8414 and OpenID Connect Discovery: the same document. */
  readonly metadata: RouteHandler;
  readonly interaction: {
    readonly show: RouteHandler;
    readonly decide: RouteHandler;
    /** `GET /oauth/interaction/{uid}/callback`. */
    readonly comeBack: RouteHandler;
  };
  /** `GET /oauth/callback`: where another provider sends browsers back to. OpenID Connect Core 1.0, section 3.1.2.5. */
  readonly callback: RouteHandler;
}

/** What the handlers depend on. */
export interface OauthEndpointOptions {
  readonly getProvider: () => Promise<Provider>;
  /** What was out of reach for a request that the engine has answered. */
  readonly findOutage: (incoming: IncomingMessage) => UpstreamError | undefined;
  readonly publicUrl: URL;
  readonly resource: string;
  readonly baseScopes: readonly string[];
  readonly clients: OauthClients;
  readonly keys: SigningKeys;
  readonly interactions: Interactions;
  readonly stepUps: StepUpNotices;
  readonly checkProof: ProofCheck;
  /** `POST /oauth/token`, as clients know it. */
  readonly tokenUrl: string;
  /** Whether identity assertions are taken. */
  readonly hasAssertions: boolean;
  /** Absent where no issuer is trusted for identity tokens: then token exchange is no grant of this server. */
  readonly tokenService?: Pick<TokenService, 'exchange'>;
  readonly revoke: (kind: RevocationKind, name: string) => Promise<void>;
}

const noStore = { 'Cache-Control': 'no-store' };
/** As long as a new key is published before it signs, at most. */
const jwksHeaders = { 'Cache-Control': 'public, max-age=300' };
const metadataHeaders = { 'Cache-Control': 'public, max-age=300' };
const metadataPath = '/.well-known/openid-configuration';
const form = 'application/x-www-form-urlencoded';

/** The handlers over one engine. */
export function createOauthEndpoints(options: OauthEndpointOptions): OauthEndpoints {
  const { getProvider, publicUrl, clients, keys, interactions } = options;

  const pass = async (
    request: HttpRequest,
    changes: {
      readonly path?: string;
      readonly query?: string;
      readonly body?: string;
      readonly contentType?: string;
    } = {},
  ): Promise<FullReply> => {
    const provider = await getProvider();
    const answer = provider.callback();
    let outage: UpstreamError | undefined;
    const reply = await runListener(
      (incoming, outgoing) => {
        outgoing.once('finish', () => {
          outage = options.findOutage(incoming);
        });
        void answer(incoming, outgoing);
      },
      request,
      { publicUrl, ...changes },
    );
    if (outage !== undefined) throw outage;
    return reply;
  };

  /** One spelling of our resource, however the client wrote it: the engine compares strings. */
  const toParameters = (text: string): URLSearchParams => {
    const parameters = new URLSearchParams(text);
    const given = parameters.getAll('resource');
    if (given.length === 0) return parameters;
    parameters.delete('resource');
    for (const each of new Set(given.map((uri) => toCanonicalResource(uri, options.resource)))) {
      parameters.append('resource', each);
    }
    return parameters;
  };

  const toAuthorizationRequest = (text: string): string => {
    const parameters = toParameters(text);
    // Without a scope the engine would have nothing to grant, and refuse.
    if ((parameters.get('scope') ?? '') === '')
      parameters.set('scope', options.baseScopes.join(' ') || 'openid');
    return parameters.toString();
  };

  return {
    authorize: (request) =>
      request.method === 'POST'
        ? pass(request, { body: toAuthorizationRequest(request.body) })
        : pass(request, { query: toAuthorizationRequest(request.query) }),
    resume: (request) => pass(request),
    token: async (request) => {
      if (!isForm(request)) return notAForm;
      const parameters = toParameters(request.body);
      if (options.tokenService !== undefined && parameters.get('grant_type') === tokenExchangeGrant) {
        return exchange(options.tokenService, request, parameters);
      }
      if (await isRefreshInVain(parameters)) return inVain;
      return pass(request, { body: parameters.toString() });
    },
    register: async (request) => {
      const normalized = normalizeClientMetadata(parseJson(request.body));
      if (normalized.kind === 'invalid') return toOauthError(400, normalized.error, normalized.description);
      const known = await clients.find(toClientId(normalized.metadata));
      if (known !== undefined) return toJsonReply(201, known, noStore);
      return pass(request, { body: JSON.stringify(normalized.metadata), contentType: 'application/json' });
    },
    revoke: async (request) => {
      if (!isForm(request)) return notAForm;
      const reply = await pass(request);
      // The engine knows the client by now, and does not keep access tokens.
      if (reply.status !== 400 || !reply.body.includes('"unsupported_token_type"')) return reply;
      const parameters = new URLSearchParams(request.body);
      const tokenId = await findTokenId(
        parameters.get('token') ?? '',
        toPresentedClient(request, parameters),
      );
      if (tokenId !== undefined) await options.revoke('token', tokenId);
      // RFC 7009, section 2.2: also for a token that is not valid, or not the client's.
      return { kind: 'full', status: 200, headers: noStore, body: '' };
    },
    jwks: async () => toJsonReply(200, { keys: await keys.publicKeys() }, jwksHeaders),
    metadata: async (request) => {
      const reply = await pass(request, { path: metadataPath, query: '' });
      const headers = { ...reply.headers, ...metadataHeaders };
      const document = reply.status === 200 ? parseJson(reply.body) : undefined;
      if (typeof document !== 'object' || document === null) return { ...reply, headers };
      // The engine names its own alone. Some clients ask for all that they are told: the least that is of use.
      const scopes = { scopes_supported: ['openid', 'offline_access', ...options.baseScopes] };
      return {
        ...reply,
        headers,
        body: JSON.stringify({ ...document, ...scopes, ...toGrantTypes(document) }),
      };
    },
    interaction: {
      show: (request) => interactions.show(request),
      decide: (request) => (isForm(request) ? interactions.decide(request) : notAForm),
      comeBack: (request) => interactions.comeBack(request),
    },
    callback: (request) => interactions.receive(request),
  };

  /** Those of the engine that have a use here, and what is answered without it. RFC 8414, section 2. */
  function toGrantTypes(document: object): object {
    if (!('grant_types_supported' in document)) return {};
    const { hasAssertions, tokenService } = options;
    const grants = [
      document.grant_types_supported,
      tokenService === undefined ? [] : tokenExchangeGrant,
    ].flat();
    return {
      grant_types_supported: grants.filter((grant) => grant !== jwtBearerGrant || hasAssertions),
      ...(hasAssertions && { authorization_grant_profiles_supported: [identityAssertionProfile] }),
    };
  }

  function exchange(
    service: Pick<TokenService, 'exchange'>,
    request: HttpRequest,
    parameters: URLSearchParams,
  ): Promise<FullReply> {
    const proof = toHeader(request.headers, 'dpop');
    return exchangeToken(service, {
      parameters,
      resource: options.resource,
      checkProof:
        proof === undefined
          ? undefined
          : () => options.checkProof({ presentation: toTokenPresentation(options.tokenUrl, proof) }),
    });
  }

  /** Changes nothing: the refresh token stays good for later. */
  async function isRefreshInVain(parameters: URLSearchParams): Promise<boolean> {
    if (parameters.get('grant_type') !== 'refresh_token') return false;
    const provider = await getProvider();
    const token = await provider.RefreshToken.find(parameters.get('refresh_token') ?? '');
    return token?.grantId !== undefined && options.stepUps.take(token.grantId);
  }

  /** `jti` of an access token of ours that this client was given. */
  async function findTokenId(token: string, clientId: string | undefined): Promise<string | undefined> {
    try {
      const { kid, typ } = decodeProtectedHeader(token);
      const key = typ === accessTokenType && kid !== undefined ? await keys.find(kid) : undefined;
      if (key === undefined) return undefined;
      const { payload } = await compactVerify(token, key);
      const claims = JSON.parse(new TextDecoder().decode(payload)) as Readonly<Record<string, unknown>>;
      const isTheirs = clientId !== undefined && claims['client_id'] === clientId;
      return isTheirs && typeof claims['jti'] === 'string' ? claims['jti'] : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Who the engine has just accepted, by what they presented. */
function toPresentedClient({ headers }: HttpRequest, parameters: URLSearchParams): string | undefined {
  const named = parameters.get('client_id');
  if (named !== null) return named;
  const [scheme, credentials] = (toHeader(headers, 'authorization') ?? '').split(' ', 2);
  if (scheme?.toLowerCase() === 'basic') {
    return decodeURIComponent(
      Buffer.from(credentials ?? '', 'base64')
        .toString()
        .split(':', 1)[0] ?? '',
    );
  }
  const assertion = parameters.get('client_assertion')?.split('.')[1];
  if (assertion === undefined) return undefined;
  const claims = parseJson(Buffer.from(assertion, 'base64url').toString());
  return typeof claims === 'object' && claims !== null && 'sub' in claims ? String(claims.sub) : undefined;
}

function isForm({ headers }: HttpRequest): boolean {
  return toHeader(headers, 'content-type')?.split(';', 1)[0]?.trim().toLowerCase() === form;
}

/**
 * Not `invalid_grant`, which would tell clients to forget a refresh token that is good. This one, of OpenID Connect Core,
 * section 3.1.2.6, makes the SDK's clients go on to the authorization request, with the scopes of the challenge.
 */
const inVain = toOauthError(
  400,
  'interaction_required',
  'refreshing gives no further scopes: ask the user for them with a new authorization request',
);

const notAForm = toOauthError(400, 'invalid_request', `the body must be ${form}`);

/** An error for a program. RFC 6749, section 5.2. */
export function toOauthError(status: number, error: string, description: string): FullReply {
  return toJsonReply(status, { error, error_description: description }, noStore);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
