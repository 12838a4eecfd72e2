/** What is known of the tokens of common identity providers, so that a trusted issuer's record can be short. */

/** The presets, by name. `oidc`: any OpenID Connect provider whose access tokens follow RFC 9068. */
export type IssuerPreset = 'authkit' | 'auth0' | 'firebase' | 'keycloak' | 'entra' | 'oidc';

/** What a preset fills in. */
export interface IssuerPresetRow {
  /** Absent: told by the issuer's discovery document. */
  readonly toJwksUri?: (issuer: string) => string;
  readonly tokenType: 'at+jwt' | 'JWT' | 'any';
  readonly algorithms: readonly string[];
  /** In the order in which they are looked for. */
  readonly clientIdClaims: readonly string[];
  /** Each one's scopes count. */
  readonly scopeClaims: readonly string[];
  /** Where the active tenant is told, when the record says neither this nor a fixed one nor membership. */
  readonly tenantClaim?: string;
  /** What the issuer's tokens are good for. */
  readonly uses: readonly ('access' | 'identity')[];
  /** Claims that an access token of it has with these values. */
  readonly accessClaims?: Readonly<Record<string, string>>;
  /** The audience that follows from the issuer, where one does. */
  readonly toAudience?: (issuer: string) => string | undefined;
}

const rsa = ['RS256'];

/** See `IssuerPreset`. */
export const issuerPresets: Readonly<Record<IssuerPreset, IssuerPresetRow>> = {
  authkit: {
    toJwksUri: (issuer) => below(issuer, 'oauth2/jwks'),
    tokenType: 'any',
    algorithms: rsa,
    clientIdClaims: ['client_id', 'azp'],
    scopeClaims: ['scope', 'permissions'],
    tenantClaim: 'org_id',
    uses: ['access'],
  },
  auth0: {
    toJwksUri: (issuer) => below(issuer, '.well-known/jwks.json'),
    tokenType: 'any',
    algorithms: rsa,
    clientIdClaims: ['azp', 'client_id'],
    scopeClaims: ['scope', 'permissions'],
    tenantClaim: 'org_id',
    uses: ['access'],
  },
  firebase: {
    toJwksUri: () =>
      'https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com',
    tokenType: 'JWT',
    algorithms: rsa,
    clientIdClaims: [],
    scopeClaims: [],
    // Firebase issues no access tokens: whoever signed in exchanges the ID token here.
    uses: ['identity'],
    // The project's id.
    toAudience: (issuer) => /^https:\/\/securetoken\.google\.com\/([^/]+)$/.exec(issuer)?.[1],
  },
  keycloak: {
    toJwksUri: (issuer) => below(issuer, 'protocol/openid-connect/certs'),
    tokenType: 'any',
    algorithms: ['RS256', 'ES256', 'PS256'],
    clientIdClaims: ['azp', 'client_id'],
    scopeClaims: ['scope'],
    uses: ['access'],
    // Its ID and refresh tokens say `ID` and `Refresh`.
    accessClaims: { typ: 'Bearer' },
  },
  entra: {
    toJwksUri: (issuer) => below(issuer.replace(/\/v2\.0\/?$/, ''), 'discovery/v2.0/keys'),
    tokenType: 'JWT',
    algorithms: rsa,
    clientIdClaims: ['azp', 'appid'],
    scopeClaims: ['scp', 'roles'],
    tenantClaim: 'tid',
    uses: ['access'],
    accessClaims: { ver: '2.0' },
  },
  oidc: {
    tokenType: 'at+jwt',
    algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
    clientIdClaims: ['client_id', 'azp'],
    scopeClaims: ['scope'],
    uses: ['access'],
  },
};

function below(issuer: string, path: string): string {
  return `${issuer.replace(/\/$/, '')}/${path}`;
}
