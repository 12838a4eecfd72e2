/** Tokens for the users of trusted issuers over HTTP. Who gets which is decided by the token service. */
import * as z from 'zod';
import { parseFields, scopesSchema, tenantIdSchema } from '../../auth/key-fields.ts';
import type { SigningKeys } from '../../auth/tokens/signing-keys.ts';
import type { IssuedToken, TokenService } from '../../auth/tokens/token-service.ts';
import { RequestError } from '../../errors.ts';
import { type HttpReply, type HttpRequest, toJsonReply } from '../messages.ts';
import { parseJsonBody } from '../parse-json-body.ts';

/** The handlers by what they do; the route table says where they answer. */
export interface TokenServiceEndpoints {
  /** `POST /mcp/token`: an access token for an ID token. */
  readonly exchange: (request: HttpRequest) => Promise<HttpReply>;
  /** `POST /mcp/token/refresh`: a successor. */
  readonly refresh: (request: HttpRequest) => Promise<HttpReply>;
  /** `GET /oauth/jwks`: the keys that verify them. RFC 7517, section 5. */
  readonly jwks: (request: HttpRequest) => Promise<HttpReply>;
}

/**
 * Handlers over a token service. Each throws the service's `RequestError` and `UpstreamError`, and `request_invalid`
 * (400) or `unsupported_media_type` (415) for what cannot be read.
 */
export function createTokenServiceEndpoints(
  service: TokenService,
  keys: Pick<SigningKeys, 'publicKeys'>,
): TokenServiceEndpoints {
  return {
    exchange: async (request) => {
      const { firebaseIdToken, subjectToken, issuer, scope, ...tenant } = parseJsonBody(
        exchangeSchema,
        request,
      );
      const token = toOne({ firebaseIdToken, subjectToken });
      if (token === undefined)
        throw new RequestError('request_invalid', 'firebaseIdToken or subjectToken must be given');
      // `businessId` is the point-of-sale source's word for a tenant.
      const tenantId = toOne(tenant);
      const issued = await service.exchange({
        subjectToken: token,
        ...(issuer !== undefined && { issuer }),
        ...(tenantId !== undefined && { tenantId }),
        ...(scope !== undefined && { scopes: parseFields(scopesSchema, toWords(scope), 'scope') }),
      });
      return toTokenReply(issued);
    },
    refresh: async (request) =>
      toTokenReply(await service.refresh(parseJsonBody(refreshSchema, request).token)),
    jwks: async () => toJsonReply(200, { keys: await keys.publicKeys() }, jwksHeaders),
  };
}

/** RFC 6749, section 5.1: what holds a token is kept by nobody between. */
const noStore = { 'Cache-Control': 'no-store' };
/** Shorter than a new key is published before it signs. */
const jwksHeaders = { 'Cache-Control': 'public, max-age=300' };

const maxScopeLength = 8192;

const tokenSchema = z.string().min(1).max(16_384);

const exchangeSchema = z.strictObject({
  firebaseIdToken: tokenSchema.optional(),
  subjectToken: tokenSchema.optional(),
  issuer: z.string().min(1).max(2048).optional(),
  tenantId: tenantIdSchema.optional(),
  businessId: tenantIdSchema.optional(),
  /** Separated by spaces. RFC 6749, section 3.3. */
  scope: z.string().max(maxScopeLength).optional(),
});

const refreshSchema = z.strictObject({ token: tokenSchema });

function toWords(text: string): readonly string[] {
  return text.split(' ').filter((word) => word !== '');
}

/** One value that goes by two names. */
function toOne(named: Readonly<Record<string, string | undefined>>): string | undefined {
  const values = new Set(Object.values(named).filter((value) => value !== undefined));
  if (values.size > 1) {
    throw new RequestError(
      'request_invalid',
      `${Object.keys(named).join(' and ')} are two names of one thing and must not differ`,
    );
  }
  return [...values][0];
}

function toTokenReply({ accessToken, expiresIn, scopes }: IssuedToken): HttpReply {
  return toJsonReply(200, { accessToken, expiresIn, tokenType: 'Bearer', scope: scopes.join(' ') }, noStore);
}
