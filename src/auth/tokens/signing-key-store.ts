/** One ES256 key of the token service and the authorization server, as it rests. */
export interface StoredSigningKey {
  /** RFC 7638 thumbprint of the public key; `kid` in tokens and in the JWKS. */
  readonly id: string;
  /** Public JWK as JSON text. */
  readonly publicJwk: string;
  /** Private JWK as JSON text, sealed (`sealed-box.ts`) with purpose `signing-key`, bound to `id`. */
  readonly sealedPrivateJwk: string;
  /** Milliseconds since the epoch, all three. Published from `createdAt`, signs from `activeAt` on. */
  readonly createdAt: number;
  readonly activeAt: number;
  /** Signs nothing any more from here on; absent for the newest. Still published until it is removed. */
  readonly retiredAt?: number;
}

/** Where signing keys are kept, for all instances. Each method throws `UpstreamError` when it cannot be reached. */
export interface SigningKeyStore {
  /** All keys, oldest first; there are never more than a few. */
  list(): Promise<readonly StoredSigningKey[]>;
  /**
   * Stores a key and retires those before it from `key.activeAt` on, unless they are retired earlier; both or neither,
   * and only if the newest key is still `newestId` (`undefined`: if there is none yet).
   *
   * @returns false when another instance was first
   */
  insert(key: StoredSigningKey, newestId: string | undefined): Promise<boolean>;
  /** Replaces a sealed private key after the sealing key changed, if it is still as given. @returns whether it was */
  reseal(id: string, from: string, to: string): Promise<boolean>;
  /** Forgets keys that were retired before `retiredBefore`. @returns how many */
  removeRetired(retiredBefore: number): Promise<number>;
}
