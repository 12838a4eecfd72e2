import type { Principal } from './principal.ts';

/** How a token came: what a proof of possession is checked against. */
export interface Presentation {
  readonly scheme: 'Bearer' | 'DPoP';
  /** The `DPoP` header, when there is one. */
  readonly proof?: string;
  /** Of the request, in upper case. */
  readonly method: string;
  /** Where the request went by the public URL, without query and fragment. */
  readonly url: string;
}

/** Turns a bearer token into a principal. The fast path answers without a promise. */
export interface Authenticator {
  /**
   * @param token as received, without the scheme; never logged
   * @param presentation how it came. Default: as a bearer token, of a request that is not told
   * @throws RequestError `invalid_token` (401): unknown, inactive, expired, malformed, or not proven to be the caller's
   * @throws UpstreamError when the store that knows cannot be reached
   */
  authenticate(token: string, presentation?: Presentation): Principal | Promise<Principal>;
  /**
   * Calls back with the `credentialId` of each credential that stops being valid before its time, whichever
   * instance ended it. Open streams of that credential must be cut.
   *
   * @returns a function that stops the calls
   */
  onRevoked(listener: (credentialId: string) => void): () => void;
}
