/**
 * The exchange of `/mcp/token` for who speaks OAuth: RFC 8693, an ID token of a trusted issuer for an access token.
 *
 * The user's ID token is what is judged; clients are not authenticated here, and the token names none.
 */
import * as z from 'zod';
import { scopesSchema, tenantIdSchema } from '../../auth/key-fields.ts';
import type { TokenService } from '../../auth/tokens/token-service.ts';
import { RequestError } from '../../errors.ts';
import { type FullReply, toJsonReply } from '../../http/messages.ts';

/** `grant_type`. RFC 8693, section 2.1. */
export const tokenExchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';

const tokenType = (name: string): string => `urn:ietf:params:oauth:token-type:${name}`;
const noStore = { 'Cache-Control': 'no-store' };
const maxTokenLength = 16_384;
const maxScopeLength = 8192;

/** Of the request's parameters, what counts; RFC 6749, section 3.2: others are ignored. */
const schema = z.object({
  subject_token: z.string().min(1).max(maxTokenLength),
  subject_token_type: z.literal(tokenType('id_token')),
  requested_token_type: z.literal(tokenType('access_token')).optional(),
  // Acting for somebody else is not offered.
  actor_token: z.undefined().optional(),
  scope: z.string().max(maxScopeLength).optional(),
  tenant_id: tenantIdSchema.optional(),
});

/** What was sent, and what it is sent for. */
export interface TokenExchangeRequest {
  readonly parameters: URLSearchParams;
  /** Canonical URI of the MCP endpoint: the only resource there is. */
  readonly resource: string;
  /** Checks the proof of a key that came along, to which the token is bound; absent where none did. RFC 9449, section 5. */
  readonly checkProof: (() => Promise<string>) | undefined;
}

/**
 * Answers one request.
 *
 * @throws UpstreamError when the issuer's keys, or a store, cannot be reached
 */
export async function exchangeToken(
  service: Pick<TokenService, 'exchange'>,
  { parameters, resource, checkProof }: TokenExchangeRequest,
): Promise<FullReply> {
  const names = [...parameters.keys()];
  if (new Set(names).size !== names.length)
    return toError(400, 'invalid_request', 'a parameter is given twice');
  const parsed = schema.safeParse(Object.fromEntries(parameters));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return toError(400, 'invalid_request', `${issue?.path.join('.')} is missing, or not one that is taken`);
  }
  for (const name of ['resource', 'audience']) {
    if ((parameters.get(name) ?? resource) !== resource)
      return toError(400, 'invalid_target', 'this server protects another resource');
  }
  const words = (parsed.data.scope ?? '').split(' ').filter((word) => word !== '');
  const scopes = words.length === 0 ? undefined : scopesSchema.safeParse(words);
  if (scopes?.success === false)
    return toError(400, 'invalid_scope', 'a scope has characters it cannot have');
  const { subject_token: subjectToken, tenant_id: tenantId } = parsed.data;
  try {
    const issued = await service.exchange({
      subjectToken,
      ...(tenantId !== undefined && { tenantId }),
      ...(scopes !== undefined && { scopes: scopes.data }),
      ...(checkProof !== undefined && { checkProof }),
    });
    return toJsonReply(
      200,
      {
        access_token: issued.accessToken,
        issued_token_type: tokenType('access_token'),
        token_type: checkProof === undefined ? 'Bearer' : 'DPoP',
        expires_in: issued.expiresIn,
        scope: issued.scopes.join(' '),
      },
      noStore,
    );
  } catch (error) {
    if (error instanceof RequestError) return toRefusal(error);
    throw error;
  }
}

/** RFC 8693, section 2.2.2: a subject token that does not hold is an invalid request. */
function toRefusal({ code, status, message, headers }: RequestError): FullReply {
  if (code === 'rate_limited') return toError(status, 'temporarily_unavailable', message, headers);
  if (code === 'invalid_dpop_proof') return toError(400, code, message);
  if (code === 'invalid_token') return toError(400, 'invalid_request', 'the subject token is not valid');
  return toError(400, 'invalid_grant', message);
}

/** RFC 6749, section 5.2. */
function toError(
  status: number,
  error: string,
  description: string,
  headers: Readonly<Record<string, string>> = {},
): FullReply {
  return toJsonReply(status, { error, error_description: description }, { ...noStore, ...headers });
}
