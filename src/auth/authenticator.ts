import type { Principal } from './principal.ts';

/** Turns a bearer token into a principal. The fast path answers without a promise. */
export interface Authenticator {
  /**
   * @param token as received, without the scheme; never logged
   * @throws RequestError `invalid_token` (401): unknown, inactive, expired or malformed
   * @throws UpstreamError when the store that knows cannot be reached
   */
  authenticate(token: string): Principal | Promise<Principal>;
  /**
   * Calls back with the `credentialId` of each credential that stops being valid before its time, whichever
   * instance ended it. Open streams of that credential must be cut.
   *
   * @returns a function that stops the calls
   */
  onRevoked(listener: (credentialId: string) => void): () => void;
}
