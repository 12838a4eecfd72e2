/**
 * Access tokens to principals: from memory, else from what instances share, else by full validation. Each request is
 * held against revocations and, where the token is bound to a key, against its proof.
 */
import { createHash } from 'node:crypto';
import { RequestError, UpstreamError } from '../errors.ts';
import type { Presentation } from './authenticator.ts';
import type { ProofCheck } from './dpop/dpop-proof.ts';
import { toTokenPrincipal } from './issuers/token-principal.ts';
import { BadSignature, maxTokenLength, type TokenVerifier } from './issuers/token-verifier.ts';
import { maxValidatedMs, type ValidatedToken, type ValidatedTokens } from './issuers/validated-tokens.ts';
import type { Principal } from './principal.ts';
import type { Revocations } from './revocation/revocations.ts';
import type { UserStore } from './users/user-store.ts';

const defaultMaxEntries = 20_000;
const maxRefusals = 10_000;
const refusalMs = 2000;
const maxConcurrentValidations = 256;
/** What instances share is a shortcut: past this it is quicker to validate. */
const maxSharedWaitMs = 250;

/** What the authenticator needs, and its bounds. */
export interface TokenAuthenticatorOptions {
  readonly verifier: TokenVerifier;
  readonly revocations: Pick<Revocations, 'isRevoked'>;
  readonly checkProof: ProofCheck;
  /** Absent: each instance validates for itself. */
  readonly shared?: ValidatedTokens;
  /** For issuers whose tenants are memberships here. */
  readonly users?: UserStore;
  /** Told of failures that no request reports. */
  readonly onError?: (error: unknown) => void;
  /** Most tokens in memory. Default 20,000. */
  readonly maxEntries?: number;
  readonly now?: () => number;
}

/** See the file's head. Bounded in everything that callers can make it hold. */
export class TokenAuthenticator {
  readonly #options: TokenAuthenticatorOptions;
  readonly #now: () => number;
  readonly #onError: (error: unknown) => void;
  readonly #maxEntries: number;
  readonly #entries = new Map<string, ValidatedToken>();
  /** Tokens with a bad signature, and until when that is remembered. */
  readonly #refusals = new Map<string, number>();
  readonly #validations = new Map<string, Promise<ValidatedToken>>();

  constructor(options: TokenAuthenticatorOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#onError = options.onError ?? (() => undefined);
    this.#maxEntries = options.maxEntries ?? defaultMaxEntries;
  }

  /** @see Authenticator.authenticate */
  authenticate(token: string, presentation?: Presentation): Principal | Promise<Principal> {
    if (token.length > maxTokenLength) throw toInvalid('too long');
    const hash = createHash('sha256').update(token).digest('base64url');
    const now = this.#now();
    const entry = this.#entries.get(hash);
    if (entry !== undefined) {
      if (isFresh(entry, now)) return this.#admit(entry.principal, hash, presentation);
      this.#entries.delete(hash);
    }
    if (now < (this.#refusals.get(hash) ?? 0)) throw toInvalid('bad signature, again');
    return this.#validate(token, hash).then(({ principal }) => this.#admit(principal, hash, presentation));
  }

  #admit(
    principal: Principal,
    hash: string,
    presentation: Presentation | undefined,
  ): Principal | Promise<Principal> {
    const jkt = principal.token?.jkt;
    const scheme = presentation?.scheme ?? 'Bearer';
    // RFC 9449, section 7.2: a bound token is no bearer token, and an unbound one proves nothing with a proof.
    if (jkt !== undefined && scheme !== 'DPoP')
      throw toInvalid('bound to a key, and came as a bearer token', 'DPoP');
    if (jkt === undefined && scheme === 'DPoP')
      throw toInvalid('came with a proof, and is bound to no key', 'DPoP');
    const revoked = this.#options.revocations.isRevoked(principal);
    if (revoked === true) throw toInvalid('revoked');
    if (revoked === false && (jkt === undefined || presentation === undefined)) return principal;
    return this.#admitLater(principal, revoked, { jkt, hash, presentation });
  }

  async #admitLater(
    principal: Principal,
    revoked: boolean | Promise<boolean>,
    {
      jkt,
      hash,
      presentation,
    }: {
      readonly jkt: string | undefined;
      readonly hash: string;
      readonly presentation: Presentation | undefined;
    },
  ): Promise<Principal> {
    if (await revoked) throw toInvalid('revoked');
    if (jkt !== undefined && presentation !== undefined)
      await this.#options.checkProof({ presentation, token: { hash, jkt } });
    return principal;
  }

  #validate(token: string, hash: string): Promise<ValidatedToken> {
    const running = this.#validations.get(hash);
    if (running !== undefined) return running;
    if (this.#validations.size >= maxConcurrentValidations)
      throw new UpstreamError('token_validation', 'Too many tokens are being validated at once');
    const validation = this.#validateNow(token, hash).finally(() => this.#validations.delete(hash));
    this.#validations.set(hash, validation);
    return validation;
  }

  async #validateNow(token: string, hash: string): Promise<ValidatedToken> {
    const shared = await this.#loadShared(hash);
    if (shared !== undefined) return this.#keep(hash, shared);
    const validatedAt = this.#now();
    try {
      const verified = await this.#options.verifier.verify(token, 'access');
      const principal = await toTokenPrincipal(verified, { users: this.#options.users, hash });
      const validated = { principal, validatedAt };
      this.#options.shared?.save(hash, validated).catch(this.#onError);
      return this.#keep(hash, validated);
    } catch (error) {
      // Nothing else is remembered: whatever else was wrong may be right a moment later.
      if (error instanceof BadSignature)
        setBounded(this.#refusals, hash, { value: validatedAt + refusalMs, maxSize: maxRefusals });
      throw error;
    }
  }

  async #loadShared(hash: string): Promise<ValidatedToken | undefined> {
    const { shared } = this.#options;
    if (shared === undefined) return undefined;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, maxSharedWaitMs, undefined);
    });
    const loading = shared.load(hash).catch((error: unknown) => {
      this.#onError(error);
      return undefined;
    });
    const found = await Promise.race([loading, late]);
    clearTimeout(timer);
    return found !== undefined && isFresh(found, this.#now()) ? found : undefined;
  }

  #keep(hash: string, validated: ValidatedToken): ValidatedToken {
    setBounded(this.#entries, hash, { value: validated, maxSize: this.#maxEntries });
    return validated;
  }
}

function isFresh({ principal, validatedAt }: ValidatedToken, now: number): boolean {
  return (
    now < (principal.expiresAt ?? 0) &&
    now - validatedAt < maxValidatedMs &&
    now >= validatedAt - maxValidatedMs
  );
}

/** Sets an entry of a bounded map; the one set first makes room. */
function setBounded<Value>(
  map: Map<string, Value>,
  key: string,
  { value, maxSize }: { readonly value: Value; readonly maxSize: number },
): void {
  if (map.size >= maxSize && !map.has(key)) {
    const [oldest] = map.keys();
    if (oldest !== undefined) map.delete(oldest);
  }
  map.set(key, value);
}

function toInvalid(detail: string, scheme: 'Bearer' | 'DPoP' = 'Bearer'): RequestError {
  return new RequestError('invalid_token', 'The token is not valid', { detail, scheme });
}
