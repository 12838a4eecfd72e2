/** Who an identity token says its bearer is. */
export interface VerifiedIdentity {
  /** The issuer's URL, as the trusted issuer's record says it. */
  readonly issuer: string;
  /** `sub`. */
  readonly subject: string;
  readonly name?: string;
  readonly email?: string;
  /** `auth_time`, in milliseconds since the epoch; absent when the issuer does not say. */
  readonly authenticatedAt?: number;
}

/** Verifies identity tokens of the issuers that are trusted for them. */
export interface IdentityVerifier {
  /**
   * @param token an ID token, never logged
   * @param issuer the name or URL of the issuer it must be of. Default: any that is trusted for identity tokens
   * @throws RequestError `invalid_token` (401): expired, not well signed, for somebody else, of no trusted issuer
   * @throws UpstreamError when the issuer's keys are needed and cannot be had
   */
  verifyIdentity(token: string, issuer?: string): Promise<VerifiedIdentity>;
}
