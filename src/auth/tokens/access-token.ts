/** The access tokens that this host issues: what they say, made and read in one place. RFC 9068. */
import { SignJWT } from 'jose';
import { signingAlgorithm, type SigningKeys } from './signing-keys.ts';

/** `typ` in the header of every access token. RFC 9068, section 2.1: nothing else may pass for one. */
export const accessTokenType = 'at+jwt';

/** `client_id` of a token that an application got for its user without naming itself. */
export const tokenServiceClientId = 'token_service';

/** What made a token. Only those of the token service may be refreshed there. */
export type TokenGrant = 'token_service' | 'authorization_server';

/** What an access token says. Times are milliseconds since the epoch; on the wire they are seconds. */
export interface AccessTokenClaims {
  /** The user's id, or the client's where a client calls for itself. */
  readonly subject: string;
  /** `jti`. */
  readonly tokenId: string;
  readonly grant: TokenGrant;
  readonly scopes: readonly string[];
  readonly tenantId: string;
  readonly role: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
  /** When the user proved who they are. */
  readonly authenticatedAt?: number;
  /** `sid`: the sign-in that this token descends from. */
  readonly sessionId?: string;
  /** `gid`: what the user allowed the client. */
  readonly grantId?: string;
  readonly clientId?: string;
  /** `cnf.jkt`, RFC 9449, section 6.1: whose proof must come with the token. */
  readonly keyThumbprint?: string;
}

/** Whose tokens they are, and for whom. */
export interface AccessTokenParties {
  /** `iss`: the public URL. */
  readonly issuer: string;
  /** `aud`: the canonical URI of the MCP endpoint. RFC 8707, section 2. */
  readonly resource: string;
}

/** The claims as they go on the wire, but for issuer and audience. */
export function toWireClaims(claims: AccessTokenClaims): Record<string, unknown> {
  const { authenticatedAt, sessionId, grantId, clientId, keyThumbprint } = claims;
  return {
    sub: claims.subject,
    jti: claims.tokenId,
    gty: claims.grant,
    scope: claims.scopes.join(' '),
    tenant: claims.tenantId,
    role: claims.role,
    iat: toSeconds(claims.issuedAt),
    exp: toSeconds(claims.expiresAt),
    // RFC 9068, section 2.2: REQUIRED.
    client_id: clientId ?? tokenServiceClientId,
    ...(authenticatedAt === undefined ? {} : { auth_time: toSeconds(authenticatedAt) }),
    ...(sessionId === undefined ? {} : { sid: sessionId }),
    ...(grantId === undefined ? {} : { gid: grantId }),
    ...(keyThumbprint === undefined ? {} : { cnf: { jkt: keyThumbprint } }),
  };
}

/** Signs an access token. @returns it in its compact form */
export async function signAccessToken(
  claims: AccessTokenClaims,
  { issuer, resource, keys }: AccessTokenParties & { readonly keys: SigningKeys },
): Promise<string> {
  const key = await keys.current();
  return new SignJWT({ ...toWireClaims(claims), iss: issuer, aud: resource })
    .setProtectedHeader({ alg: signingAlgorithm, typ: accessTokenType, kid: key.id })
    .sign(key.privateKey);
}

function toSeconds(ms: number): number {
  return Math.floor(ms / 1000);
}
