import { RequestError } from '../errors.ts';
import type { Authenticator, Presentation } from './authenticator.ts';
import type { Principal } from './principal.ts';
import type { TokenAuthenticator } from './token-authenticator.ts';

/** What takes which credential. */
export interface CredentialAuthenticatorOptions {
  readonly keys: Pick<Authenticator, 'authenticate'>;
  /** Absent when no issuer of access tokens is trusted. */
  readonly tokens: Pick<TokenAuthenticator, 'authenticate'> | undefined;
}

/** Tells API keys from access tokens by their shape, and has each one looked at by whom it concerns. */
export class CredentialAuthenticator implements Pick<Authenticator, 'authenticate'> {
  readonly #keys: CredentialAuthenticatorOptions['keys'];
  readonly #tokens: CredentialAuthenticatorOptions['tokens'];

  constructor({ keys, tokens }: CredentialAuthenticatorOptions) {
    this.#keys = keys;
    this.#tokens = tokens;
  }

  authenticate(token: string, presentation?: Presentation): Principal | Promise<Principal> {
    if (this.#tokens !== undefined && isJwtShaped(token))
      return this.#tokens.authenticate(token, presentation);
    if (presentation?.scheme === 'DPoP') {
      throw new RequestError('invalid_token', 'The token is not valid', {
        detail: 'a proof with what is no token',
        scheme: 'DPoP',
      });
    }
    return this.#keys.authenticate(token, presentation);
  }
}

/** A JWT is three parts with dots between them, and its header, an object, begins with `{"`. No API key has a dot. */
function isJwtShaped(token: string): boolean {
  return token.startsWith('ey') && token.includes('.');
}
