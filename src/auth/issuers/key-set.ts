import type { CryptoKey, FlattenedJWSInput, JWSHeaderParameters } from 'jose';

/** The public keys of one issuer. */
export interface KeySet {
  /**
   * The key that a token's header names.
   *
   * @throws JOSEError when the issuer has no such key
   * @throws UpstreamError when its keys cannot be had
   */
  find(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey>;
}
