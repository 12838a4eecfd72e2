import { errors } from 'jose';
import type { TrustedIssuer } from '../../config/trusted-issuers.ts';
import type { SigningKeys } from '../tokens/signing-keys.ts';
import type { IssuerWithKeys } from './token-verifier.ts';

/** The name of this host's own issuer. No record can have it: theirs begin with a letter. */
export const ownIssuerName = '-';

/**
 * This host as an issuer whose access tokens it takes, its keys read in process.
 *
 * @param options.issuer the public URL
 * @param options.resource the canonical URI of the MCP endpoint
 */
export function createOwnIssuer(options: {
  readonly issuer: string;
  readonly resource: string;
  readonly keys: Pick<SigningKeys, 'find'>;
}): IssuerWithKeys {
  const issuer = Object.freeze<TrustedIssuer>({
    name: ownIssuerName,
    issuers: [options.issuer],
    audiences: [options.resource],
    identityAudiences: [],
    tokenType: 'at+jwt',
    algorithms: ['ES256'],
    clientIdClaims: ['client_id'],
    scopeClaims: ['scope'],
    scopes: [],
    tenant: { kind: 'claim', claim: 'tenant' },
    roleClaim: 'role',
    role: 'merchant',
    uses: ['access'],
    accessClaims: {},
  });
  return {
    issuer,
    keys: {
      find: async ({ kid }) => {
        const key = kid === undefined ? undefined : await options.keys.find(kid);
        if (key === undefined) throw new errors.JWKSNoMatchingKey();
        return key;
      },
    },
  };
}
