/** What a principal may do on the whole; an application may add its own words. */
export type Role = 'platform_operator' | 'tenant_developer' | 'merchant' | (string & {});

/** Where an access token comes from: what revocations name, and what binds the token to a key. */
export interface TokenOrigin {
  /** `iss`, as the token says it. */
  readonly issuer: string;
  /** `jti`. */
  readonly tokenId?: string;
  /** `iat`, in milliseconds since the epoch. */
  readonly issuedAt: number;
  /** `sid`: the sign-in that the token descends from. */
  readonly sessionId?: string;
  /** `gid`: what the user allowed the client. */
  readonly grantId?: string;
  readonly clientId?: string;
  /** `cnf.jkt`: the thumbprint of the key whose proof must come with the token. RFC 9449, section 6.1 */
  readonly jkt?: string;
}

/**
 * Who calls. Made once when a credential is accepted, frozen, and shared by every request that presents it.
 *
 * The tenant always comes from here, never from the request.
 */
export interface Principal {
  readonly kind: 'key' | 'user' | 'service';
  /**
   * Stable over the life of the caller: for an API key, the first key of its rotation chain, so that a
   * rotated key keeps the sessions of the one it replaces.
   */
  readonly subject: string;
  /** The credential presented: for an API key, its id; for a token its `jti`, or its hash where it has none. */
  readonly credentialId: string;
  /** Every tenant the caller belongs to. */
  readonly tenantIds: readonly string[];
  /** The tenant this caller acts for now; one of `tenantIds`. */
  readonly activeTenantId: string;
  readonly role: Role;
  readonly scopes: readonly string[];
  /** Milliseconds since the epoch; absent means the credential does not expire. */
  readonly expiresAt?: number;
  /** Present when the credential is an access token. */
  readonly token?: TokenOrigin;
}

/** One string per principal and tenant: what sessions, handles and request state are bound to. */
export function toPrincipalKey(principal: Principal): string {
  return `${principal.kind}:${principal.subject}@${principal.activeTenantId}`;
}
